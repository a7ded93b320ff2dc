import { NodeAddresses } from '../nodes/addresses.ts';
import { acceptsConnections, type Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import { isSecure, parseNodeUrl } from '../nodes/url.ts';

/** A node as the data threads see it. */
export interface Route {
  readonly id: string;
  readonly pool: number;
  /** The pool that it was in until now, while a reload is under way. */
  readonly formerPool?: number | undefined;
  /** IP literal; empty while the name does not resolve. */
  readonly host: string;
  /** Further addresses of the same node. */
  readonly otherHosts?: readonly string[] | undefined;
  readonly port: number;
  /** The name that its certificate is for; empty: it is reached without TLS. */
  readonly serverName: string;
  /** Relative share in hundredths of the node's weight, so that a slow start has room below weight 1. */
  readonly weight: number;
  /** Connections at one time; 0: no limit. */
  readonly maxConnections: number;
  /** New devices a second, as much of it as the node's share allows; 0: no limit. */
  readonly connectRate: number;
  readonly enabled: boolean;
  readonly usable: boolean;
  /** Takes nobody now. */
  readonly busy: boolean;
}

/** Where routes are written: the routing table. */
interface RouteSink {
  put(route: Route): void;
  remove(id: string): void;
}

interface RoutesOptions {
  readonly table: NodeTable;
  /** Its number in the routing table. */
  readonly poolNumber: (pool: string) => number;
  readonly sink: RouteSink;
  /** Name to IP literals; an IP literal is answered with itself. Rejects when there is none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** How much of its weight a node has by now, above 0 and up to 1 (slow start). */
  readonly shareOf: (node: Node) => number;
  /** Does the node take nobody now, though it lives? */
  readonly isBusy: (nodeId: string) => boolean;
  /** New devices a second at one node of this pool, by this proxy; 0: no limit. */
  readonly connectRateOf: (pool: string) => number;
  /** A node that takes no devices: its name does not resolve, or there is no room. Once for each time it happens. */
  readonly onUnrouted: (node: Node, error: unknown) => void;
}

/** How often the names of nodes are looked up again. */
const RESOLVE_INTERVAL_MS = 5_000;

/**
 * Keeps the routing table in step with the node table. Names are resolved here, because a data thread must not wait
 * for a resolver; a name that no longer resolves keeps its last addresses.
 */
export function keepRoutes(options: RoutesOptions) {
  const { table, poolNumber, sink, resolve, shareOf, isBusy, connectRateOf, onUnrouted } = options;
  /** Ids of the nodes at each host. */
  const hosts = new Map<string, Set<string>>();
  const addresses = new Map<string, NodeAddresses>();
  /** By host: a resolver that hangs is not asked again meanwhile. */
  const lookups = new Map<string, Promise<void>>();
  const unresolved = new Set<string>();
  const unwritten = new Set<string>();
  /** While a reload is under way, of the nodes that it gave another pool. */
  let formerPools: Map<string, string> | undefined;

  function write(node: Node): void {
    const { host, port } = parseNodeUrl(node.url);
    const share = shareOf(node);
    const former = formerPools?.get(node.id);
    const [address = '', ...otherHosts] = addresses.get(host)?.hosts ?? [];
    const route: Route = {
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
      busy: isBusy(node.id),
    };
    try {
      sink.put(route);
      unwritten.delete(node.id);
    } catch (error) {
      tellOnce(unwritten, node, error);
    }
  }

  function tellOnce(told: Set<string>, node: Node, error: unknown): void {
    if (told.has(node.id)) return;
    told.add(node.id);
    onUnrouted(node, error);
  }

  function enter(node: Node): void {
    const host = hostOf(node);
    hosts.set(host, (hosts.get(host) ?? new Set()).add(node.id));
  }

  function leave(node: Node): void {
    const host = hostOf(node);
    const ids = hosts.get(host);
    ids?.delete(node.id);
    if (ids === undefined || ids.size > 0) return;
    hosts.delete(host);
    addresses.delete(host);
  }

  function look(host: string): Promise<void> {
    const lookup = lookups.get(host) ?? lookUp(host).finally(() => lookups.delete(host));
    lookups.set(host, lookup);
    return lookup;
  }

  async function lookUp(host: string): Promise<void> {
    // Read after the answer is there: those that asked may have gone meanwhile.
    const nodesAtHost = (): Node[] => [...(hosts.get(host) ?? [])].map((id) => table.get(id));
    try {
      const found = await resolve(host);
      const nodes = nodesAtHost();
      for (const { id } of nodes) unresolved.delete(id);
      if (nodes.length === 0 || isSame(addresses.get(host)?.hosts ?? [], found)) return;
      addresses.set(host, new NodeAddresses(found));
      for (const node of nodes) write(node);
    } catch (error) {
      for (const node of nodesAtHost()) tellOnce(unresolved, node, error);
    }
  }

  function lookAll(): Promise<unknown> {
    return Promise.all([...hosts.keys()].map(look));
  }

  function forget(node: Node): void {
    leave(node);
    sink.remove(node.id);
    formerPools?.delete(node.id);
    unresolved.delete(node.id);
    unwritten.delete(node.id);
  }

  const unsubscribe = table.onChange((change) => {
    const { kind, node } = change;
    if (kind === 'removed') return forget(node);
    if (kind === 'changed' && hostOf(change.previous) !== hostOf(node)) leave(change.previous);
    if (kind === 'changed' && change.previous.pool !== node.pool)
      formerPools?.set(node.id, change.previous.pool);
    enter(node);
    write(node);
    if (kind === 'added' || kind === 'changed') void look(hostOf(node));
  });
  const timer = setInterval(() => {
    for (const id of unwritten) write(table.get(id));
    void lookAll();
  }, RESOLVE_INTERVAL_MS);

  return {
    /** When every node that is there now has its address, or has none: the first devices need it. */
    async settled(): Promise<void> {
      await lookAll();
    },
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
    /** `host:port` that is dialled, or each that is dialled in turn; undefined while the name does not resolve. */
    addressOf(node: Node): string | undefined {
      const { host, port } = parseNodeUrl(node.url);
      const shown = (address: string) =>
        address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      return addresses.get(host)?.hosts.map(shown).join(', ');
    },
    /** What the nodes of this host are dialled at; undefined while the name does not resolve. */
    addressesAt: (host: string): NodeAddresses | undefined => addresses.get(host),
    stop(): void {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

/** DNS servers give the addresses of a name in another order each time. */
function isSame(known: readonly string[], found: readonly string[]): boolean {
  return known.length === found.length && found.every((address) => known.includes(address));
}

function hostOf(node: Node): string {
  return parseNodeUrl(node.url).host;
}

export type Routes = ReturnType<typeof keepRoutes>;
