import { Command } from 'commander';
import type { DrainView, NodeDetail, NodeView, PoolView } from '../../admin/backend.ts';
import type { AdminState, NodeCreate, NodePatch } from '../../nodes/node.ts';
import { MAX_CONNECTIONS_MAX, WEIGHT_MAX, WEIGHT_MIN } from '../../nodes/node.ts';
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
import { nodeColumns } from '../output/node-table.ts';
import { jsonText, printDetails, printJson, report, tableText } from '../output/print.ts';
import { show } from '../output/watch.ts';
import { followMoves, RATE_OPTION } from './moves.ts';

/** `breakwater node …`: the nodes behind the cluster address. */
export function nodeCommand(): Command {
  const family = new Command('node').description('list and change the nodes behind the cluster address');
  for (const command of [list(), add(), remove(), drain(), enable(), disable(), weight(), inspect()]) {
    family.addCommand(command);
  }
  return withExample(family, 'node list', 'node add mqtt://10.0.0.4:1883 --weight 20');
}

function list(): Command {
  const command = new Command('list')
    .description('list the nodes')
    .option('--pool <name>', 'only of this pool')
    .action(async ({ pool, watch, json, ...options }: WatchOptions & { pool?: string }) => {
      const admin = createAdminClient(options);
      await show(watch, async () => {
        const nodes = await nodesOf(admin, pool);
        return json ? jsonText(nodes) : tableText(nodeColumns, nodes, NO_NODES);
      });
    });
  return withExample(withAdminOptions(withWatchOption(command)), 'node list', 'node list --json');
}

const NO_NODES = 'no nodes; breakwater node add URL adds one';

/** @throws BreakwaterError POOL_UNKNOWN */
async function nodesOf(admin: AdminClient, wanted: string | undefined): Promise<readonly NodeView[]> {
  const all = await admin.get<readonly NodeView[]>('nodes');
  const nodes = all.filter(({ pool }) => wanted === undefined || pool === wanted);
  if (wanted !== undefined && nodes.length === 0) {
    const pools = await admin.get<readonly PoolView[]>('pools');
    requireKnown(
      'pool',
      wanted,
      pools.map(({ name }) => name),
    );
  }
  return nodes;
}

function add(): Command {
  const command = new Command('add')
    .description('add a node; devices go there at once, until it is found unhealthy')
    .argument('<url>', 'mqtt://host:port')
    .option('--id <id>', 'its id; without one, its host and port')
    .option('--pool <name>', 'its pool; without one, default')
    .option('--weight <n>', 'its share, 1 to 100; without one, 10', wholeNumber(WEIGHT_MIN, WEIGHT_MAX))
    .option(
      '--max-connections <n>',
      'most connections at one time; what is more goes to the next node',
      wholeNumber(0, MAX_CONNECTIONS_MAX),
    )
    .option('--probe-url <url>', 'where probes go when not to the node itself')
    .action(async (url: string, options: DataOptions & Omit<NodeCreate, 'url'>) => {
      const { id, pool, weight, maxConnections, probeUrl } = options;
      const create: NodeCreate = { url, id, pool, weight, maxConnections, probeUrl };
      const node = await createAdminClient(options).post<NodeView>('nodes', create);
      report(options, node, `node ${node.id} added to pool ${node.pool} with weight ${node.weight}`);
    });
  return withExample(withAdminOptions(command), 'node add mqtt://10.0.0.4:1883 --id emqx-4 --weight 20');
}

function remove(): Command {
  const command = new Command('remove')
    .description('remove a node; its sessions move to other nodes')
    .argument('<id>', 'node id')
    .action(async (id: string, options: DataOptions) => {
      await createAdminClient(options).delete(pathOf(id));
      report(options, { id, removed: true }, `node ${id} removed`);
    });
  return withExample(withAdminOptions(command), 'node remove emqx-4');
}

interface DrainOptions extends DataOptions {
  readonly rate?: number;
  readonly wait: boolean;
}

function drain(): Command {
  const command = new Command('drain')
    .description('send a node no new device, move its sessions to other nodes, and wait until it is empty')
    .argument('<id>', 'node id')
    .option(...RATE_OPTION, wholeNumber(1, 100_000))
    .option('--no-wait', 'do not wait for the end')
    .action(async (id: string, options: DrainOptions) => {
      const admin = createAdminClient(options);
      const path = `${pathOf(id)}/drain`;
      const node = await admin.post<NodeView>(path, { rate: options.rate });
      if (!options.wait) {
        return report(options, node, `node ${id} is draining; connections left: ${node.connections}`);
      }
      const end = await followMoves(() => admin.get<DrainView>(path), options.json === true);
      report(options, end, drainSentence(end));
      if (end.state !== 'done') process.exitCode = 1;
    });
  return withExample(
    withAdminOptions(command),
    'node drain emqx-4',
    'node drain emqx-4 --rate 500 --no-wait',
  );
}

/** How a drain ended, for people. */
export function drainSentence({ node, state, moved, left, stays }: DrainView): string {
  if (state === 'done') return `node ${node} is empty; sessions moved: ${moved}`;
  if (state === 'off') return `node ${node} is not draining any more; connections left: ${left}`;
  const unmoved = left - stays;
  const why = [
    stays > 0 ? `${stays} stay until they leave by themselves (relay mode)` : '',
    unmoved > 0 ? `${unmoved} are taken by no other node` : '',
  ].filter((part) => part !== '');
  return `node ${node} is not empty; sessions moved: ${moved}, left: ${left}, of which ${why.join(' and ')}`;
}

function enable(): Command {
  return setState('enable', 'enabled', 'send a node devices again');
}

function disable(): Command {
  return setState('disable', 'disabled', 'take a node out: no new device goes there');
}

function setState(name: string, state: AdminState, description: string): Command {
  const command = new Command(name)
    .description(description)
    .argument('<id>', 'node id')
    .action((id: string, options: DataOptions) => change(id, { state }, options));
  return withExample(withAdminOptions(command), `node ${name} emqx-4`);
}

function weight(): Command {
  const command = new Command('weight')
    .description('change the share of new devices that a node gets')
    .argument('<id>', 'node id')
    .argument('<n>', '1 to 100', wholeNumber(WEIGHT_MIN, WEIGHT_MAX))
    .action((id: string, value: number, options: DataOptions) => change(id, { weight: value }, options));
  return withExample(withAdminOptions(command), 'node weight emqx-4 50');
}

function inspect(): Command {
  const command = new Command('inspect')
    .description('show all that is known of one node')
    .argument('<id>', 'node id')
    .action(async (id: string, options: DataOptions) => {
      const node = await createAdminClient(options).get<NodeDetail>(pathOf(id));
      if (options.json) printJson(node);
      else printDetails({ ...node, probes: probesText(node.probes) });
    });
  return withExample(withAdminOptions(command), 'node inspect emqx-4');
}

function probesText(probes: NodeDetail['probes']): string {
  const failed = probes.filter(({ failure }) => failure !== undefined).length;
  return `${failed} of the last ${probes.length} failed`;
}

async function change(id: string, patch: NodePatch, options: DataOptions): Promise<void> {
  const node = await createAdminClient(options).patch<NodeView>(pathOf(id), patch);
  report(options, node, `node ${id} is ${node.state} with weight ${node.weight}`);
}

function pathOf(id: string): string {
  return `nodes/${encodeURIComponent(id)}`;
}
