import { Command } from 'commander';
import type { IncidentList, IncidentView } from '../../admin/journal-views.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, wholeNumber, withAdminOptions, withExample } from '../options.ts';
import { print, printJson, printTable } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { tellMissing } from './events.ts';

/** `breakwater incidents`: what has happened, grouped, newest first. */

const columns: readonly Column<IncidentView>[] = [
  { title: 'BEGAN', value: ({ from }) => from },
  {
    title: 'STATE',
    value: ({ to }) => (to === undefined ? 'goes on' : 'over'),
    colour: ({ to }) => (to === undefined ? 'yellow' : undefined),
  },
  { title: 'KIND', value: ({ kind }) => kind },
  { title: 'PROXIES', value: ({ proxies }) => proxies.join(' ') },
  { title: 'WHAT', value: ({ summary }) => summary },
];

interface IncidentOptions extends DataOptions {
  readonly kind?: string;
  readonly node?: string;
  readonly limit: number;
}

export function incidentsCommand(): Command {
  const command = new Command('incidents')
    .description(
      'show nodes that were lost and what became of their devices, outages, refusals; newest first',
    )
    .option('--kind <kinds>', 'such as node-lost, store-outage; several with commas between')
    .option('--node <id>', 'only those in which this node lost or took devices')
    .option('--limit <n>', 'at most so many, 1 to 500', wholeNumber(1, 500), 20)
    .action(async (options: IncidentOptions) => {
      const { kind, node, limit } = options;
      const query = new URLSearchParams({ limit: String(limit) });
      if (kind !== undefined) query.set('kind', kind);
      if (node !== undefined) query.set('node', node);
      const found = await createAdminClient(options).get<IncidentList>(`incidents?${query}`);
      if (options.json) return printJson(found);
      printTable(columns, found.incidents, 'no incidents');
      if (found.next !== undefined) print('… and earlier ones; --limit N shows more');
      tellMissing(found.missing);
    });
  return withExample(withAdminOptions(command), 'incidents', 'incidents --node emqx-2');
}
