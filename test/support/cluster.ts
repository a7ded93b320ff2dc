import { isDeepStrictEqual } from 'node:util';
import type { NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from './breakwater.ts';
import { main } from './cli.ts';
import { type Spawned, start } from './process.ts';
import type { RedisServer } from './redis.ts';
import { until } from './wait.ts';

/** Seconds; a proxy or node that is killed is missed after three of them. */
export const HEARTBEAT = 0.2;

/** A proxy of the cluster in that Redis; `config.membership` is laid over what it says of it. */
export function startProxy(
  redis: Pick<RedisServer, 'url'>,
  id: string,
  { membership, ...config }: { readonly membership?: object; readonly [key: string]: unknown } = {},
): Promise<Breakwater> {
  const shared = { store: 'redis', url: redis.url, heartbeat: HEARTBEAT, ...membership };
  return startBreakwater({ proxy: { id }, membership: shared, ...config });
}

/** `breakwater broker --join`: one of brokers that share their sessions in that Redis. */
export function startJoining(
  redis: Pick<RedisServer, 'url'>,
  id: string,
  ...args: readonly string[]
): Spawned {
  const beats = ['--heartbeat', `${HEARTBEAT}`, '--forget-after', '1', '--grace', '1'];
  const broker = ['broker', '--listen', 'mqtt://127.0.0.1:0', '--id', id, '--redis', redis.url];
  return start(process.execPath, [main, ...broker, '--join', 'default', ...beats, ...args]);
}

/** As `node list` shows them, without what each proxy finds out by itself. */
async function shared(proxy: Breakwater): Promise<object[]> {
  const nodes = await proxy.api<NodeView[]>('nodes');
  const views = nodes.map(({ id, pool, url, weight, maxConnections, state, source }) => ({
    ...{ id, pool, url, weight, maxConnections, state, source },
  }));
  return views.toSorted((a, b) => a.id.localeCompare(b.id));
}

/** Waits until one of the proxies lists these nodes, and from then on a second at most until all list the same. */
export async function agree(proxies: readonly Breakwater[], ids: readonly string[]): Promise<void> {
  const lists = () => Promise.all(proxies.map(shared));
  const hasAll = (list: object[]) =>
    isDeepStrictEqual(
      list.map((node) => (node as NodeView).id),
      [...ids].sort(),
    );
  await until(async () => (await lists()).some(hasAll), `a proxy to list ${ids}`);
  await until(
    async () => {
      const all = await lists();
      return all.every((list) => hasAll(list) && isDeepStrictEqual(list, all[0]));
    },
    `all proxies to list ${ids}`,
    1_000,
  );
}

export async function nodeOf(proxy: Breakwater, id: string): Promise<NodeView> {
  return proxy.api<NodeView>(`nodes/${id}`);
}

/** Live connections by node id, by the account of this proxy. */
export async function connectionsOf(proxy: Breakwater): Promise<Record<string, number>> {
  const nodes = await proxy.api<NodeView[]>('nodes');
  return Object.fromEntries(nodes.map(({ id, connections }) => [id, connections]));
}
