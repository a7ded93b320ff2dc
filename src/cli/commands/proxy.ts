/** The commands that show, drain and enable proxies of the cluster, over the admin API. */

import { Command } from 'commander';
import type {
  ProxyDrainRequest,
  ProxyDrainView,
  ProxyRebalanceRequest,
  ProxyRebalanceView,
  ProxyView,
  StatusView,
} from '../../admin/backend.ts';
import { type AdminClient, createAdminClient } from '../admin-client.ts';
import {
  type DataOptions,
  type WatchOptions,
  wholeNumber,
  withAdminOptions,
  withExample,
  withWatchOption,
} from '../options.ts';
import { jsonText, report, tableText } from '../output/print.ts';
import type { Column } from '../output/table.ts';
import { show } from '../output/watch.ts';
import { followMoves, tolerance } from './moves.ts';

const columns: readonly Column<ProxyView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'HOST', value: ({ host }) => host, cut: true },
  { title: 'PID', value: ({ pid }) => pid, align: 'right' },
  { title: 'VERSION', value: ({ version }) => version },
  { title: 'ENGINE', value: ({ engine, threads }) => `${engine} × ${threads}` },
  { title: 'LISTENERS', value: ({ listeners }) => listeners.join(' '), cut: true },
  { title: 'CONNECTIONS', value: ({ connections }) => connections, align: 'right' },
  { title: 'LAST SEEN', value: ({ lastSeen }) => `${lastSeen.toFixed(0)} s ago`, align: 'right' },
];

interface ProxyDrainOptions extends DataOptions, ProxyDrainRequest {
  readonly wait: boolean;
  readonly ifOthers?: boolean;
}

interface ProxyRebalanceOptions extends DataOptions, ProxyRebalanceRequest {
  readonly wait: boolean;
}

/** `breakwater proxy …`: the proxies of this cluster. */
export function proxyCommand(): Command {
  const family = new Command('proxy').description(
    'show, drain, enable and rebalance the proxies of this cluster',
  );
  for (const command of [list(), drain(), enable(), rebalance()]) family.addCommand(command);
  return withExample(family, 'proxy list', 'proxy drain edge-1 --rate 200');
}

function list(): Command {
  const command = new Command('list')
    .description('list the proxies of this cluster')
    .action(async ({ watch, json, ...options }: WatchOptions) => {
      const admin = createAdminClient(options);
      await show(watch, async () => {
        const proxies = await admin.get<readonly ProxyView[]>('proxies');
        return json ? jsonText(proxies) : tableText(columns, proxies, 'no proxies');
      });
    });
  return withExample(withAdminOptions(withWatchOption(command)), 'proxy list');
}

function drain(): Command {
  const command = new Command('drain')
    .description('take a proxy out: it is not ready, its devices leave, and this waits until they have')
    .argument('[id]', 'proxy id; without one, the proxy that is asked')
    .option('--rate <n>', 'at most so many devices a second; 100', wholeNumber(1, 100_000))
    .option(
      '--within <s>',
      'instead: those that are there leave within so many seconds',
      wholeNumber(1, 86_400),
    )
    .option('--delay <s>', 'so many seconds it is not ready and nobody leaves yet; 5', wholeNumber(0, 3_600))
    .option('--if-others', 'do nothing where no other proxy of the cluster takes devices')
    .option('--no-wait', 'do not wait for the end')
    .action(async (asked: string | undefined, { rate, within, delay, ...options }: ProxyDrainOptions) => {
      const admin = createAdminClient(options);
      const id = asked ?? (await self(admin));
      if (options.ifOthers && !(await hasOthers(admin, id))) {
        const text = `proxy ${id} is not drained: no other proxy of the cluster takes devices`;
        return report(options, { proxy: id, state: 'off', reason: text }, text);
      }
      const path = `${pathOf(id)}/drain`;
      const begun = await admin.post<ProxyDrainView>(path, { rate, within, delay });
      if (!options.wait) {
        const text = `proxy ${id} is draining; devices to leave: ${begun.left}`;
        return report(options, begun, text);
      }
      const end = await followMoves(() => admin.get<ProxyDrainView>(path), options.json === true);
      report(options, end, proxyDrainSentence(end));
      if (end.state !== 'done') process.exitCode = 1;
    });
  return withExample(
    withAdminOptions(command),
    'proxy drain edge-1 --rate 200',
    'proxy drain --within 60 --delay 10 --if-others',
  );
}

/** How a drain ended, for people. */
function proxyDrainSentence({ proxy, state, moved, left }: ProxyDrainView): string {
  if (state === 'done') return `proxy ${proxy} is out; devices that left: ${moved}`;
  return `proxy ${proxy} is not draining any more; devices that left: ${moved}, still to leave: ${left}`;
}

function enable(): Command {
  const command = new Command('enable')
    .description('take a proxy in again: it is ready, and nobody leaves any more')
    .argument('[id]', 'proxy id; without one, the proxy that is asked')
    .action(async (asked: string | undefined, options: DataOptions) => {
      const admin = createAdminClient(options);
      const id = asked ?? (await self(admin));
      await admin.post(`${pathOf(id)}/enable`);
      report(options, { proxy: id, state: 'enabled' }, `proxy ${id} is enabled`);
    });
  return withExample(withAdminOptions(command), 'proxy enable edge-1');
}

function rebalance(): Command {
  const command = new Command('rebalance')
    .description('let devices go that proxies have above the mean, so that others take them')
    .option('--rate <n>', 'at most so many devices a second, over all proxies; 100', wholeNumber(1, 100_000))
    .option(
      '--tolerance <x>',
      'difference between the fullest and the emptiest proxy that is left, in parts of the mean; 0.1',
      tolerance,
    )
    .option('--no-wait', 'do not wait for the end')
    .action(async ({ rate, tolerance, ...options }: ProxyRebalanceOptions) => {
      const admin = createAdminClient(options);
      const begun = await admin.post<ProxyRebalanceView>('proxy-rebalance', { rate, tolerance });
      if (!options.wait) return report(options, begun, `rebalancing ${begun.proxies.join(', ')}`);
      const end = await followMoves(
        () => admin.get<ProxyRebalanceView>('proxy-rebalance'),
        options.json === true,
      );
      report(options, end, proxyRebalanceSentence(end));
      if (end.state !== 'done') process.exitCode = 1;
    });
  return withExample(withAdminOptions(command), 'proxy rebalance', 'proxy rebalance --rate 50');
}

/** How a rebalance of proxies ended, for people. */
function proxyRebalanceSentence({ state, proxies, moved, spread }: ProxyRebalanceView): string {
  const uneven = 'are not even: devices come back to where they were, by whoever balances before the proxies';
  const how = state === 'done' ? 'are even' : uneven;
  const percent = Math.round(spread * 100);
  return `${proxies.join(', ')} ${how}; devices that left: ${moved}, fullest and emptiest proxy differ by ${percent}% of the mean`;
}

async function self(admin: AdminClient): Promise<string> {
  return (await admin.get<StatusView>('status')).proxy.id;
}

async function hasOthers(admin: AdminClient, id: string): Promise<boolean> {
  const proxies = await admin.get<readonly ProxyView[]>('proxies');
  return proxies.some((proxy) => proxy.id !== id && proxy.state === 'enabled');
}

function pathOf(id: string): string {
  return `proxies/${encodeURIComponent(id)}`;
}
