import { NodeAddresses } from '../nodes/addresses.ts';
import type { Node } from '../nodes/node.ts';
import type { NodeChange, NodeTable } from '../nodes/table.ts';
import { parseNodeUrl } from '../nodes/url.ts';

/** The addresses of all nodes, by the host of their URLs: looked up on the main thread, and again every few seconds. */

interface AddressBookOptions {
  readonly table: NodeTable;
  /** Name to IP literals; an IP literal is answered with itself. Rejects when there is none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** Called once each time the name of a node begins not to resolve. */
  readonly onUnresolved: (node: Node, error: unknown) => void;
}

/** How often the names of nodes are looked up again. */
const RESOLVE_INTERVAL_MS = 5_000;

/** A data thread must not wait for a resolver; a name that no longer resolves keeps its last addresses. */
export class AddressBook {
  private readonly options: AddressBookOptions;
  /** Ids of the nodes at each host. */
  private readonly hosts = new Map<string, Set<string>>();
  private readonly addresses = new Map<string, NodeAddresses>();
  /** Look-ups under way, by host: a resolver that hangs is not asked again meanwhile. */
  private readonly lookups = new Map<string, Promise<void>>();
  private readonly unresolved = new Set<string>();
  private readonly listeners = new Set<(nodes: readonly Node[]) => void>();
  private readonly unsubscribe: () => void;
  private readonly timer: NodeJS.Timeout;

  /** It follows the table from now on, until `stop`. */
  constructor(options: AddressBookOptions) {
    this.options = options;
    this.unsubscribe = options.table.onChange((change) => this.changed(change));
    this.timer = setInterval(() => void this.resolved(), RESOLVE_INTERVAL_MS);
  }

  /** What the nodes of this host are dialled at; undefined while the name does not resolve. */
  at(host: string): NodeAddresses | undefined {
    return this.addresses.get(host);
  }

  /** `host:port` that is dialled, or each that is dialled in turn; undefined while the name does not resolve. */
  shown(node: Node): string | undefined {
    const { host, port } = parseNodeUrl(node.url);
    const shown = (address: string) =>
      address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return this.addresses.get(host)?.hosts.map(shown).join(', ');
  }

  /** Calls back when nodes have other addresses than before. */
  onChange(listener: (nodes: readonly Node[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Resolves when every node of the present table has its address, or has none: the first devices need it. */
  async resolved(): Promise<void> {
    await Promise.all([...this.hosts.keys()].map((host) => this.look(host)));
  }

  stop(): void {
    this.unsubscribe();
    clearInterval(this.timer);
  }

  private changed(change: NodeChange): void {
    const { kind, node } = change;
    if (kind === 'removed') {
      this.leave(node);
      this.unresolved.delete(node.id);
      return;
    }
    if (kind === 'changed' && hostOf(change.previous) !== hostOf(node)) this.leave(change.previous);
    this.enter(node);
    if (kind === 'added' || kind === 'changed') void this.look(hostOf(node));
  }

  private enter(node: Node): void {
    const host = hostOf(node);
    this.hosts.set(host, (this.hosts.get(host) ?? new Set()).add(node.id));
  }

  private leave(node: Node): void {
    const host = hostOf(node);
    const ids = this.hosts.get(host);
    ids?.delete(node.id);
    if (ids === undefined || ids.size > 0) return;
    this.hosts.delete(host);
    this.addresses.delete(host);
  }

  private look(host: string): Promise<void> {
    const lookup = this.lookups.get(host) ?? this.lookUp(host).finally(() => this.lookups.delete(host));
    this.lookups.set(host, lookup);
    return lookup;
  }

  private async lookUp(host: string): Promise<void> {
    const { addresses, unresolved } = this;
    const { table, resolve, onUnresolved } = this.options;
    // Read after the answer is there: those that asked may have gone meanwhile.
    const nodesAtHost = (): Node[] => [...(this.hosts.get(host) ?? [])].map((id) => table.get(id));
    try {
      const found = await resolve(host);
      const nodes = nodesAtHost();
      for (const { id } of nodes) unresolved.delete(id);
      if (nodes.length === 0 || isSame(addresses.get(host)?.hosts ?? [], found)) return;
      addresses.set(host, new NodeAddresses(found));
      for (const listener of this.listeners) listener(nodes);
    } catch (error) {
      for (const node of nodesAtHost()) {
        if (!unresolved.has(node.id)) onUnresolved(node, error);
        unresolved.add(node.id);
      }
    }
  }
}

/** DNS servers give the addresses of a name in another order each time. */
function isSame(known: readonly string[], found: readonly string[]): boolean {
  return known.length === found.length && found.every((address) => known.includes(address));
}

function hostOf(node: Node): string {
  return parseNodeUrl(node.url).host;
}
