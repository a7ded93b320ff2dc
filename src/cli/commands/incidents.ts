import { Command } from 'commander';
import type { IncidentList, IncidentView } from '../../admin/journal-views.ts';
import { createAdminClient } from '../admin-client.ts';
import {
  type WatchOptions,
  wholeNumber,
  withAdminOptions,
  withExample,
  withWatchOption,
} from '../options.ts';
import { jsonText, tableText } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { show } from '../output/watch.ts';
import { missingText } from './events.ts';

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

interface IncidentOptions extends WatchOptions {
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
    .action(async ({ kind, node, limit, watch, json, ...options }: IncidentOptions) => {
      const query = new URLSearchParams({ limit: String(limit) });
      if (kind !== undefined) query.set('kind', kind);
      if (node !== undefined) query.set('node', node);
      const admin = createAdminClient(options);
      await show(watch, async () => {
        const found = await admin.get<IncidentList>(`incidents?${query}`);
        return json ? jsonText(found) : listText(found);
      });
    });
  return withExample(withAdminOptions(withWatchOption(command)), 'incidents', 'incidents --node emqx-2');
}

function listText({ incidents, next, missing }: IncidentList): string {
  const lines = [tableText(columns, incidents, 'no incidents')];
  if (next !== undefined) lines.push('… and earlier ones; --limit N shows more');
  return [...lines, ...missingText(missing)].join('\n');
}
