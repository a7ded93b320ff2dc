import { Command } from 'commander';
import type { NodeCreate, NodeDetail, NodePatch, NodeView } from '../admin/backend.ts';
import type { AdminState } from '../nodes/node.ts';
import { WEIGHT_MAX, WEIGHT_MIN } from '../nodes/node.ts';
import { createAdminClient } from './admin-client.ts';
import { nodeColumns } from './node-table.ts';
import { type DataOptions, wholeNumber, withAdminOptions, withExample } from './options.ts';
import { printDetails, printJson, printTable } from './print.ts';

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
    .action(async (options: DataOptions & { pool?: string }) => {
      const all = await createAdminClient(options).get<readonly NodeView[]>('nodes');
      const nodes = all.filter(({ pool }) => options.pool === undefined || pool === options.pool);
      if (options.json) printJson(nodes);
      else printTable(nodeColumns, nodes, 'no nodes; breakwater node add URL adds one');
    });
  return withExample(withAdminOptions(command), 'node list', 'node list --json');
}

function add(): Command {
  const command = new Command('add')
    .description('add a node; devices go there at once, until it is found unhealthy')
    .argument('<url>', 'mqtt://host:port')
    .option('--id <id>', 'its id; without one, its host and port')
    .option('--pool <name>', 'its pool; without one, default')
    .option('--weight <n>', 'its share, 1 to 100; without one, 10', wholeNumber(WEIGHT_MIN, WEIGHT_MAX))
    .option('--probe-url <url>', 'where probes go when not to the node itself')
    .action(async (url: string, options: DataOptions & Omit<NodeCreate, 'url'>) => {
      const { id, pool, weight, probeUrl } = options;
      const create: NodeCreate = { url, id, pool, weight, probeUrl };
      const node = await createAdminClient(options).post<NodeView>('nodes', create);
      report(options, node, `node ${node.id} added to pool ${node.pool} with weight ${node.weight}`);
    });
  return withExample(withAdminOptions(command), 'node add mqtt://10.0.0.4:1883 --id emqx-4 --weight 20');
}

function remove(): Command {
  const command = new Command('remove')
    .description('remove a node; see `node drain` to let its devices leave first')
    .argument('<id>', 'node id')
    .action(async (id: string, options: DataOptions) => {
      await createAdminClient(options).delete(pathOf(id));
      report(options, { id, removed: true }, `node ${id} removed`);
    });
  return withExample(withAdminOptions(command), 'node remove emqx-4');
}

function drain(): Command {
  const command = new Command('drain')
    .description('send a node no new device; present ones stay until they leave')
    .argument('<id>', 'node id')
    .action(async (id: string, options: DataOptions) => {
      const node = await createAdminClient(options).post<NodeView>(`${pathOf(id)}/drain`);
      report(options, node, `node ${id} is draining; connections left: ${node.connections}`);
    });
  return withExample(withAdminOptions(command), 'node drain emqx-4');
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
      else printDetails({ ...node });
    });
  return withExample(withAdminOptions(command), 'node inspect emqx-4');
}

async function change(id: string, patch: NodePatch, options: DataOptions): Promise<void> {
  const node = await createAdminClient(options).patch<NodeView>(pathOf(id), patch);
  report(options, node, `node ${id} is ${node.state} with weight ${node.weight}`);
}

function report(options: DataOptions, value: unknown, sentence: string): void {
  if (options.json) printJson(value);
  else console.log(sentence);
}

function pathOf(id: string): string {
  return `nodes/${encodeURIComponent(id)}`;
}
