import { acceptsConnections, type Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import { parseNodeUrl } from '../nodes/url.ts';

/** A node as the data threads see it. */
export interface Route {
  readonly id: string;
  readonly pool: number;
  /** IP literal; empty while the name does not resolve. */
  readonly host: string;
  readonly port: number;
  /** Relative share in hundredths of the node's weight, so that a slow start has room below weight 1. */
  readonly weight: number;
  readonly enabled: boolean;
  readonly usable: boolean;
}

/** Where routes are written: the routing table. */
export interface RouteSink {
  put(route: Route): void;
  remove(id: string): void;
}

export interface RoutesOptions {
  readonly table: NodeTable;
  readonly pools: readonly string[];
  readonly sink: RouteSink;
  /** Name to IP literal; an IP literal is answered with itself. Rejects when there is none. */
  readonly resolve: (host: string) => Promise<string>;
  /** How much of its weight a node has by now, above 0 and up to 1 (slow start). */
  readonly shareOf: (node: Node) => number;
  readonly onUnresolved: (node: Node, error: unknown) => void;
}

/** How often the names of nodes are looked up again. */
const RESOLVE_INTERVAL_MS = 5_000;

/**
 * Keeps the routing table in step with the node table. Names are resolved here, because a data thread must not wait
 * for a resolver; a name that no longer resolves keeps its last address.
 */
export function keepRoutes({ table, pools, sink, resolve, shareOf, onUnresolved }: RoutesOptions) {
  const addresses = new Map<string, string>();
  const unresolved = new Set<string>();

  function write(node: Node): void {
    const { host, port } = parseNodeUrl(node.url);
    sink.put({
      id: node.id,
      pool: pools.indexOf(node.pool),
      host: addresses.get(host) ?? '',
      port,
      weight: Math.max(1, Math.round(node.weight * 100 * shareOf(node))),
      enabled: acceptsConnections(node),
      usable: node.health !== 'unhealthy',
    });
  }

  async function look(node: Node): Promise<void> {
    const { host } = parseNodeUrl(node.url);
    const before = addresses.get(host);
    try {
      addresses.set(host, await resolve(host));
      unresolved.delete(node.id);
    } catch (error) {
      if (!unresolved.has(node.id)) onUnresolved(node, error); // once for each time that it is lost
      unresolved.add(node.id);
    }
    if (table.has(node.id) && addresses.get(host) !== before) write(table.get(node.id));
  }

  /** Forgets the addresses of hosts that no node has any more. */
  function forget(): void {
    const used = new Set(table.list().map((node) => parseNodeUrl(node.url).host));
    for (const host of addresses.keys()) if (!used.has(host)) addresses.delete(host);
  }

  const unsubscribe = table.onChange((change) => {
    if (change.kind === 'removed') {
      sink.remove(change.node.id);
      unresolved.delete(change.node.id);
      return forget();
    }
    write(change.node);
    if (change.kind === 'added' || change.kind === 'changed') void look(change.node);
  });
  const timer = setInterval(() => {
    for (const node of table.list()) void look(node);
  }, RESOLVE_INTERVAL_MS);

  return {
    /** When every node that is there now has its address, or has none: the first devices need it. */
    async settled(): Promise<void> {
      await Promise.all(table.list().map(look));
    },
    /** Writes a node anew, because its share has grown. */
    refresh(node: Node): void {
      write(node);
    },
    /** `host:port` that is dialled; undefined while the name does not resolve. */
    addressOf(node: Node): string | undefined {
      const { host, port } = parseNodeUrl(node.url);
      const address = addresses.get(host);
      if (address === undefined) return undefined;
      return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    },
    stop(): void {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

export type Routes = ReturnType<typeof keepRoutes>;
