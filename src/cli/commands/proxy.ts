/** The commands that show, drain and enable proxies of the cluster, over the admin API. */

import { Command } from 'commander';
import type { ProxyView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { printJson, printTable } from '../output/print.ts';
import type { Column } from '../output/table.ts';

const columns: readonly Column<ProxyView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'HOST', value: ({ host }) => host },
  { title: 'PID', value: ({ pid }) => pid, align: 'right' },
  { title: 'VERSION', value: ({ version }) => version },
  { title: 'ENGINE', value: ({ engine, threads }) => `${engine} × ${threads}` },
  { title: 'LISTENERS', value: ({ listeners }) => listeners.join(' ') },
  { title: 'CONNECTIONS', value: ({ connections }) => connections, align: 'right' },
  { title: 'LAST SEEN', value: ({ lastSeen }) => `${lastSeen.toFixed(0)} s ago`, align: 'right' },
];

/** `breakwater proxy …`: the proxies of this cluster. */
export function proxyCommand(): Command {
  const list = new Command('list')
    .description('list the proxies of this cluster')
    .action(async (options: DataOptions) => {
      const proxies = await createAdminClient(options).get<readonly ProxyView[]>('proxies');
      if (options.json) printJson(proxies);
      else printTable(columns, proxies, 'no proxies');
    });
  const family = new Command('proxy').description('list the proxies of this cluster');
  family.addCommand(withExample(withAdminOptions(list), 'proxy list'));
  return withExample(family, 'proxy list');
}
