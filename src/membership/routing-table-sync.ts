import { acceptsConnections, type Node } from '../nodes/node.ts';
import type { NodeRoute } from '../nodes/route.ts';
import type { NodeChange, NodeTable } from '../nodes/table.ts';
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
export class RoutingTableSync {
  private readonly options: RoutesOptions;
  private readonly unwritten = new Set<string>();
  /** While a reload is under way, of the nodes that it gave another pool. */
  private formerPools: Map<string, string> | undefined;
  private readonly unsubscribe: readonly (() => void)[];
  private readonly timer: NodeJS.Timeout;

  /** It follows the table and the addresses from now on, until `stop`. */
  constructor(options: RoutesOptions) {
    this.options = options;
    const { table, addresses } = options;
    this.unsubscribe = [
      table.onChange((change) => this.changed(change)),
      addresses.onChange((nodes) => {
        for (const node of nodes) this.refresh(node);
      }),
    ];
    this.timer = setInterval(() => {
      for (const id of this.unwritten) this.refresh(table.get(id));
    }, RETRY_INTERVAL_MS);
  }

  /** From now on a node that is given another pool is in both, because devices are still placed by the former. */
  keepFormerPools(): void {
    this.formerPools ??= new Map();
  }

  /** Devices are placed by the new pools. */
  leaveFormerPools(): void {
    const left = this.formerPools ?? new Map<string, string>();
    this.formerPools = undefined;
    for (const id of left.keys()) this.refresh(this.options.table.get(id));
  }

  /** Writes a node anew, because what is known of it has changed, or its share has grown. */
  refresh(node: Node): void {
    const { sink, onUnrouted } = this.options;
    try {
      sink.put(this.routeOf(node));
      this.unwritten.delete(node.id);
    } catch (error) {
      if (!this.unwritten.has(node.id)) onUnrouted(node, error);
      this.unwritten.add(node.id);
    }
  }

  stop(): void {
    for (const end of this.unsubscribe) end();
    clearInterval(this.timer);
  }

  private changed(change: NodeChange): void {
    const { kind, node } = change;
    if (kind === 'removed') return this.forget(node);
    if (kind === 'changed' && change.previous.pool !== node.pool)
      this.formerPools?.set(node.id, change.previous.pool);
    this.refresh(node);
  }

  private forget({ id }: Node): void {
    this.options.sink.remove(id);
    this.formerPools?.delete(id);
    this.unwritten.delete(id);
  }

  private routeOf(node: Node): NodeRoute {
    const { addresses, poolNumber, shareOf, connectRateOf } = this.options;
    const { host, port } = parseNodeUrl(node.url);
    const share = shareOf(node);
    const former = this.formerPools?.get(node.id);
    const [address = '', ...otherHosts] = addresses.at(host)?.hosts ?? [];
    return {
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
  }
}
