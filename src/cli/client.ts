import { Command } from 'commander';
import type { ClientList, ClientView } from '../admin/backend.ts';
import { createAdminClient } from './admin-client.ts';
import { type DataOptions, wholeNumber, withAdminOptions, withExample } from './options.ts';
import { printDetails, printJson, printTable } from './print.ts';
import type { Column } from './table.ts';

const columns: readonly Column<ClientView>[] = [
  { title: 'CLIENT ID', value: ({ clientId }) => clientId },
  { title: 'NODE', value: ({ node }) => node },
  { title: 'REMOTE ADDRESS', value: ({ remoteAddress }) => remoteAddress },
  { title: 'MQTT', value: ({ protocolVersion }) => versions[protocolVersion] },
  { title: 'KEEP ALIVE', value: ({ keepAlive }) => `${keepAlive} s`, align: 'right' },
  { title: 'MODE', value: ({ mode }) => mode },
  { title: 'CONNECTED AT', value: ({ connectedAt }) => connectedAt },
  { title: 'PROXY', value: ({ proxy }) => proxy },
];

const versions: Readonly<Record<ClientView['protocolVersion'], string>> = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

/** `breakwater client …`: the devices that are connected now. */
export function clientCommand(): Command {
  const family = new Command('client').description(
    'list, inspect and disconnect the devices that are connected',
  );
  for (const command of [list(), inspect(), kick()]) family.addCommand(command);
  return withExample(family, 'client list --node emqx-1', 'client kick meter-17');
}

function list(): Command {
  const command = new Command('list')
    .description('list the devices that are connected')
    .option('--node <id>', 'only at this node')
    .option('--match <text>', 'only client ids that contain this')
    .option('--limit <n>', 'at most so many, 1 to 10000', wholeNumber(1, 10_000), 100)
    .action(async (options: DataOptions & { node?: string; match?: string; limit: number }) => {
      const query = new URLSearchParams({ limit: String(options.limit) });
      if (options.node !== undefined) query.set('node', options.node);
      if (options.match !== undefined) query.set('match', options.match);
      const found = await createAdminClient(options).get<ClientList>(`clients?${query}`);
      if (options.json) return printJson(found);
      printTable(columns, found.clients, 'no devices');
      const hidden = found.total - found.clients.length;
      if (hidden > 0) console.log(`… and ${hidden} more; --limit N shows more, --match TEXT fewer`);
    });
  return withExample(withAdminOptions(command), 'client list --match meter- --limit 20');
}

function inspect(): Command {
  const command = new Command('inspect')
    .description('show all that is known of one device')
    .argument('<clientId>', 'client id')
    .action(async (clientId: string, options: DataOptions) => {
      const client = await createAdminClient(options).get<ClientView>(pathOf(clientId));
      if (options.json) printJson(client);
      else printDetails({ ...client });
    });
  return withExample(withAdminOptions(command), 'client inspect meter-17');
}

function kick(): Command {
  const command = new Command('kick')
    .description('disconnect a device; it may connect again')
    .argument('<clientId>', 'client id')
    .action(async (clientId: string, options: DataOptions) => {
      await createAdminClient(options).delete(pathOf(clientId));
      if (options.json) printJson({ clientId, kicked: true });
      else console.log(`client ${clientId} disconnected`);
    });
  return withExample(withAdminOptions(command), 'client kick meter-17');
}

function pathOf(clientId: string): string {
  return `clients/${encodeURIComponent(clientId)}`;
}
