import { Command } from 'commander';
import type { ClientHistory, HistoryEntry } from '../../admin/journal-views.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { printJson, printTable } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { tellMissing } from './events.ts';

/** `breakwater client history`: what happened to one device, also after it has left. */

const columns: readonly Column<HistoryEntry>[] = [
  { title: 'AT', value: ({ at }) => at },
  {
    title: 'WHAT',
    value: ({ what }) => what,
    colour: ({ what }) => (what === 'refused' || what === 'not-moved' ? 'red' : undefined),
  },
  { title: 'NODE', value: ({ node = '', from }) => (from === undefined ? node : `${from} → ${node}`) },
  {
    title: 'WHY',
    value: ({ reason, cause = '', evidence }) => reason ?? [cause, evidence].filter(Boolean).join(', '),
  },
  { title: 'TOOK', value: ({ duration }) => (duration === undefined ? '' : `${duration} s`), align: 'right' },
  {
    title: 'CONNECTION',
    value: ({ connection }) => (connection === undefined ? '' : `#${connection}`),
    align: 'right',
  },
  { title: 'REMOTE ADDRESS', value: ({ remoteAddress = '' }) => remoteAddress },
  { title: 'LISTENER', value: ({ listener = '' }) => listener },
  { title: 'PROXY', value: ({ proxy }) => proxy },
];

export function clientHistoryCommand(): Command {
  const command = new Command('history')
    .description('show the last connects, moves, refusals and ends of a device, also of one that has left')
    .argument('<client>', "client id; of a device without one '#17', the number of its connection")
    .action(async (clientId: string, options: DataOptions) => {
      const path = `clients/${encodeURIComponent(clientId)}/history`;
      const history = await createAdminClient(options).get<ClientHistory>(path);
      if (options.json) return printJson(history);
      printTable(columns, history.entries, '');
      tellMissing(history.missing);
    });
  return withExample(withAdminOptions(command), 'client history meter-17');
}
