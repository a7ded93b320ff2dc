import { parseNodeUrl } from '../nodes/url.ts';
import { formatAuthority, isLoopback } from './address.ts';
import type { Config, ListenerConfig } from './config.ts';
import type { Finding } from './problems.ts';

/** What a valid configuration says and can hardly mean. */
export function findWarnings(config: Config): Finding[] {
  return [...unusedPools(config), ...emptyPools(config), ...collidingNodes(config)];
}

function unusedPools({ pools, listeners, rules }: Config): Finding[] {
  const used = new Set<string | undefined>([
    ...listeners.map(({ pool }) => pool),
    ...rules.map((rule) => rule.pool),
  ]);
  return pools
    .filter(({ name }) => !used.has(name))
    .map(({ name }) => ({ path: ['pools', name], message: 'no listener and no rule uses this pool' }));
}

/** In a cluster of proxies brokers may register themselves. */
function emptyPools({ pools, membership }: Config): Finding[] {
  if (membership.store !== 'memory') return [];
  return pools
    .filter(({ nodes, discovery }) => nodes.length === 0 && discovery.length === 0)
    .map(({ name }) => ({
      path: ['pools', name],
      message: 'has no nodes and no discovery: its devices are refused until breakwater node add adds one',
    }));
}

/** A node that is this proxy itself, and one that another node is too. */
function collidingNodes({ pools, listeners }: Config): Finding[] {
  const byAddress = new Map<string, string>();
  return pools.flatMap(({ name, nodes }) =>
    nodes.flatMap(({ id, url }, index): Finding[] => {
      const path = ['pools', name, 'nodes', index, 'url'];
      const { host, port } = parseNodeUrl(url);
      const address = formatAuthority(host, port);
      const own = listeners.find((listener) => isAt(listener, host, port));
      if (own !== undefined)
        return [
          { path, message: `${address} is the listener ${own.url}: devices would go round in a circle` },
        ];
      const other = byAddress.get(`${name} ${address}`);
      byAddress.set(`${name} ${address}`, id);
      if (other === undefined) return [];
      return [{ path, message: `${address} is node ${other} too: that broker gets the share of both` }];
    }),
  );
}

/** As far as it is plain: names and other addresses of this machine are not resolved. */
function isAt(listener: ListenerConfig, host: string, port: number): boolean {
  if (listener.port !== port || port === 0) return false;
  if (listener.host === '0.0.0.0' || listener.host === '::') return isLoopback(host);
  return listener.host === (host === 'localhost' ? '127.0.0.1' : host);
}
