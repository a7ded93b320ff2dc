/** The commands that show, move and disconnect clients, over the admin API. */

import { Command } from 'commander';
import type {
  ClientDetail,
  ClientList,
  ClientView,
  NodeView,
  ReattachmentView,
} from '../../admin/backend.ts';
import { printable } from '../../base/printable.ts';
import { type AdminClient, createAdminClient } from '../admin-client.ts';
import { requireKnown } from '../filters.ts';
import {
  type DataOptions,
  type WatchOptions,
  wholeNumber,
  withAdminOptions,
  withExample,
  withWatchOption,
} from '../options.ts';
import { jsonText, print, printDetails, printJson, printTable, report, tableText } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { show } from '../output/watch.ts';
import { clientHistoryCommand } from './client-history.ts';
import { clientTraceCommand } from './client-trace.ts';
import { missingText } from './events.ts';

const columns: readonly Column<ClientView>[] = [
  { title: 'CLIENT ID', value: ({ clientId }) => clientId, cut: true },
  { title: 'CONNECTION', value: ({ connection }) => `#${connection}`, align: 'right' },
  { title: 'NODE', value: ({ node }) => node },
  { title: 'REMOTE ADDRESS', value: ({ remoteAddress }) => remoteAddress },
  { title: 'MQTT', value: ({ protocolVersion }) => versions[protocolVersion] },
  { title: 'KEEP ALIVE', value: ({ keepAlive }) => `${keepAlive} s`, align: 'right' },
  { title: 'MODE', value: ({ mode }) => mode },
  { title: 'MOVES', value: ({ reattachments }) => reattachments, align: 'right' },
  { title: 'CONNECTED AT', value: ({ connectedAt }) => connectedAt },
  { title: 'PROXY', value: ({ proxy }) => proxy, cut: true },
];

const historyColumns: readonly Column<ReattachmentView>[] = [
  { title: 'RE-ATTACHED AT', value: ({ at }) => at },
  { title: 'CAUSE', value: ({ cause }) => cause },
  { title: 'EVIDENCE', value: ({ evidence }) => evidence ?? '' },
  { title: 'FROM', value: ({ from }) => from },
  {
    title: 'TO',
    value: ({ to }) => to ?? 'nowhere',
    colour: ({ to }) => (to === undefined ? 'red' : undefined),
  },
  { title: 'TOOK', value: ({ duration }) => `${duration.toFixed(3)} s`, align: 'right' },
  { title: 'SESSION', value: ({ sessionPresent }) => (sessionPresent ? 'kept' : 'rebuilt') },
];

const WHOM = "client id, or '#17' for the connection of that number ('#17@edge-1': of that proxy)";

const versions: Readonly<Record<ClientView['protocolVersion'], string>> = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

/** `breakwater client …`: the devices that are connected now. */
export function clientCommand(): Command {
  const family = new Command('client').description(
    'list, inspect, move and disconnect the devices that are connected',
  );
  for (const command of [list(), inspect(), clientHistoryCommand(), clientTraceCommand(), move(), kick()])
    family.addCommand(command);
  return withExample(family, 'client list --node emqx-1', 'client kick meter-17');
}

function list(): Command {
  const command = new Command('list')
    .description('list the devices that are connected')
    .option('--node <id>', 'only at this node')
    .option('--match <text>', 'only client ids that contain this')
    .option('--after <connection>', "only those behind this one: the next page, such as '#17@edge-1'")
    .option('--limit <n>', 'at most so many, 1 to 10000', wholeNumber(1, 10_000), 100)
    .action(async ({ node, match, after, limit, watch, json, ...options }: ListOptions) => {
      const admin = createAdminClient(options);
      const query = new URLSearchParams({ limit: String(limit) });
      if (node !== undefined) query.set('node', node);
      if (match !== undefined) query.set('match', match);
      if (after !== undefined) query.set('after', after);
      await show(watch, async () => {
        const found = await clientsOf(admin, query);
        return json ? jsonText(found) : listText(found);
      });
    });
  return withExample(withAdminOptions(withWatchOption(command)), 'client list --match meter- --limit 20');
}

interface ListOptions extends WatchOptions {
  readonly node?: string;
  readonly match?: string;
  readonly after?: string;
  readonly limit: number;
}

function listText({ clients, total, next, missing }: ClientList): string {
  const lines = [tableText(columns, clients, 'no devices')];
  if (next !== undefined)
    lines.push(
      printable(`… ${total} in all; --after '${next}' shows the next, --limit N more, --match TEXT fewer`),
    );
  return [...lines, ...missingText(missing)].join('\n');
}

/** A node that was removed may have devices still. @throws BreakwaterError NODE_UNKNOWN */
async function clientsOf(admin: AdminClient, query: URLSearchParams): Promise<ClientList> {
  const found = await admin.get<ClientList>(`clients?${query}`);
  const node = query.get('node');
  if (node !== null && found.total === 0) {
    const nodes = await admin.get<readonly NodeView[]>('nodes');
    requireKnown(
      'node',
      node,
      nodes.map(({ id }) => id),
    );
  }
  return found;
}

function inspect(): Command {
  const command = new Command('inspect')
    .description('show all that is known of one device')
    .argument('<client>', WHOM)
    .action(async (clientId: string, options: DataOptions) => {
      const client = await createAdminClient(options).get<ClientDetail>(pathOf(clientId));
      if (options.json) return printJson(client);
      const { session, tls, ...view } = client;
      const secured = tls && {
        ...{ tls: `${tls.version} ${tls.cipher}`, sni: tls.sni, alpn: tls.alpn, clientCn: tls.clientCn },
      };
      if (session === undefined) return printDetails({ ...view, ...secured });
      const { history, immovable, ...facts } = session;
      const movable = immovable === undefined ? 'yes' : `no (${immovable})`;
      printDetails({ ...view, ...secured, ...facts, movable });
      if (history.length > 0) print('');
      if (history.length > 0) printTable(historyColumns, history, '');
    });
  return withExample(withAdminOptions(command), 'client inspect meter-17');
}

function move(): Command {
  const command = new Command('move')
    .description('move a session to another node while its device stays connected')
    .argument('<client>', WHOM)
    .argument('<node>', 'node id')
    .action(async (clientId: string, node: string, options: DataOptions) => {
      const client = await createAdminClient(options).post<ClientDetail>(`${pathOf(clientId)}/move`, {
        node,
      });
      if (options.json) return printJson(client);
      print(printable(`client ${clientId} is at ${client.node}`));
    });
  return withExample(withAdminOptions(command), 'client move meter-17 emqx-2');
}

function kick(): Command {
  const command = new Command('kick')
    .description('disconnect a device; it may connect again')
    .argument('<client>', WHOM)
    .action(async (clientId: string, options: DataOptions) => {
      await createAdminClient(options).delete(pathOf(clientId));
      report(options, { clientId, kicked: true }, printable(`client ${clientId} disconnected`));
    });
  return withExample(withAdminOptions(command), 'client kick meter-17');
}

function pathOf(clientId: string): string {
  return `clients/${encodeURIComponent(clientId)}`;
}
