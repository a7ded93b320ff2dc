import { acceptsConnections, type Node } from '../nodes/node.ts';
import type { NodeRoute } from '../nodes/route.ts';
import type { NodeTable } from '../nodes/table.ts';
import { isSecure, parseNodeUrl } from '../nodes/url.ts';
import type { AddressBook } from './address-book.ts';

/** Where routes are written: the routing table. */
interface RouteSink {
  put(route: NodeRoute): void;
  remove(id: string): void;
}

interface RoutesOptions {
  readonly table: NodeTable;
  readonly addresses: Pick<AddressBook, 'at' | 'onChange'>;
  /** Its number in the routing table. */
  readonly poolNumber: (pool: string) => number;
  readonly sink: RouteSink;
  /** How much of its weight a node has by now, above 0 and up to 1 (slow start). */
  readonly shareOf: (node: Node) => number;
  /** New devices a second at one node of this pool, by this proxy; 0: no limit. */
  readonly connectRateOf: (pool: string) => number;
  /** There is no room for this node, so it takes no devices. Once for each time it happens. */
  readonly onUnrouted: (node: Node, error: unknown) => void;
}

/** How often it is tried again to write what had no room. */
const RETRY_INTERVAL_MS = 5_000;

/** Keeps the routing table in step with the node table. */
export function syncRoutingTable(options: RoutesOptions) {
  const { table, addresses, poolNumber, sink, shareOf, connectRateOf, onUnrouted } = options;
  const unwritten = new Set<string>();
  /** While a reload is under way, of the nodes that it gave another pool. */
  let formerPools: Map<string, string> | undefined;

  function write(node: Node): void {
    const { host, port } = parseNodeUrl(node.url);
    const share = shareOf(node);
    const former = formerPools?.get(node.id);
    const [address = '', ...otherHosts] = addresses.at(host)?.hosts ?? [];
    const route: NodeRoute = {
      id: node.id,
      pool: poolNumber(node.pool),
      formerPool: former === undefined ? undefined : poolNumber(former),
      host: address,
      ...(otherHosts.length > 0 && { otherHosts }),
      port,
      serverName: isSecure(node.url) ? host : '',
      weight: Math.max(1, Math.round(node.weight * 100 * share)),
      maxConnections: node.maxConnections ?? 0,
      connectRate: Math.ceil(connectRateOf(node.pool) * share),
      enabled: acceptsConnections(node),
      usable: node.health !== 'unhealthy',
      busy: node.isBusy ?? false,
    };
    try {
      sink.put(route);
      unwritten.delete(node.id);
    } catch (error) {
      if (!unwritten.has(node.id)) onUnrouted(node, error);
      unwritten.add(node.id);
    }
  }

  function forget({ id }: Node): void {
    sink.remove(id);
    formerPools?.delete(id);
    unwritten.delete(id);
  }

  const unsubscribe = [
    table.onChange((change) => {
      const { kind, node } = change;
      if (kind === 'removed') return forget(node);
      if (kind === 'changed' && change.previous.pool !== node.pool)
        formerPools?.set(node.id, change.previous.pool);
      write(node);
    }),
    addresses.onChange((nodes) => nodes.forEach(write)),
  ];
  const timer = setInterval(() => {
    for (const id of unwritten) write(table.get(id));
  }, RETRY_INTERVAL_MS);

  return {
    /** From now on a node that is given another pool is in both, because devices are still placed by the former. */
    keepFormerPools(): void {
      formerPools ??= new Map();
    },
    /** Devices are placed by the new pools. */
    leaveFormerPools(): void {
      const left = formerPools ?? new Map<string, string>();
      formerPools = undefined;
      for (const id of left.keys()) write(table.get(id));
    },
    /** Writes a node anew, because its share has grown. */
    refresh(node: Node): void {
      write(node);
    },
    stop(): void {
      for (const end of unsubscribe) end();
      clearInterval(timer);
    },
  };
}

export type Routes = ReturnType<typeof syncRoutingTable>;
