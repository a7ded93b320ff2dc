/** The commands that show, drain and enable proxies of the cluster, over the admin API. */

import { Command } from 'commander';
import type { ProxyView } from '../../admin/backend.ts';
import { createAdminClient } from '../admin-client.ts';
import { type WatchOptions, withAdminOptions, withExample, withWatchOption } from '../options.ts';
import { jsonText, tableText } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { show } from '../output/watch.ts';

const columns: readonly Column<ProxyView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'HOST', value: ({ host }) => host, cut: true },
  { title: 'PID', value: ({ pid }) => pid, align: 'right' },
  { title: 'VERSION', value: ({ version }) => version },
  { title: 'ENGINE', value: ({ engine, threads }) => `${engine} × ${threads}` },
  { title: 'LISTENERS', value: ({ listeners }) => listeners.join(' '), cut: true },
  { title: 'CONNECTIONS', value: ({ connections }) => connections, align: 'right' },
  { title: 'LAST SEEN', value: ({ lastSeen }) => `${lastSeen.toFixed(0)} s ago`, align: 'right' },
];

/** `breakwater proxy …`: the proxies of this cluster. */
export function proxyCommand(): Command {
  const list = new Command('list')
    .description('list the proxies of this cluster')
    .action(async ({ watch, json, ...options }: WatchOptions) => {
      const admin = createAdminClient(options);
      await show(watch, async () => {
        const proxies = await admin.get<readonly ProxyView[]>('proxies');
        return json ? jsonText(proxies) : tableText(columns, proxies, 'no proxies');
      });
    });
  const family = new Command('proxy').description('list the proxies of this cluster');
  family.addCommand(withExample(withAdminOptions(withWatchOption(list)), 'proxy list'));
  return withExample(family, 'proxy list');
}
