import { NodeAddresses } from '../nodes/addresses.ts';
import type { Node } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
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
export function keepAddresses({ table, resolve, onUnresolved }: AddressBookOptions) {
  /** Ids of the nodes at each host. */
  const hosts = new Map<string, Set<string>>();
  const addresses = new Map<string, NodeAddresses>();
  /** Look-ups under way, by host: a resolver that hangs is not asked again meanwhile. */
  const lookups = new Map<string, Promise<void>>();
  const unresolved = new Set<string>();
  const listeners = new Set<(nodes: readonly Node[]) => void>();

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
      for (const listener of listeners) listener(nodes);
    } catch (error) {
      for (const node of nodesAtHost()) {
        if (!unresolved.has(node.id)) onUnresolved(node, error);
        unresolved.add(node.id);
      }
    }
  }

  function lookAll(): Promise<unknown> {
    return Promise.all([...hosts.keys()].map(look));
  }

  const unsubscribe = table.onChange((change) => {
    const { kind, node } = change;
    if (kind === 'removed') {
      leave(node);
      unresolved.delete(node.id);
      return;
    }
    if (kind === 'changed' && hostOf(change.previous) !== hostOf(node)) leave(change.previous);
    enter(node);
    if (kind === 'added' || kind === 'changed') void look(hostOf(node));
  });
  const timer = setInterval(() => void lookAll(), RESOLVE_INTERVAL_MS);

  return {
    /** What the nodes of this host are dialled at; undefined while the name does not resolve. */
    at: (host: string): NodeAddresses | undefined => addresses.get(host),
    /** `host:port` that is dialled, or each that is dialled in turn; undefined while the name does not resolve. */
    shown(node: Node): string | undefined {
      const { host, port } = parseNodeUrl(node.url);
      const shown = (address: string) =>
        address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      return addresses.get(host)?.hosts.map(shown).join(', ');
    },
    /** Calls back when nodes have other addresses than before. */
    onChange(listener: (nodes: readonly Node[]) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Resolves when every node of the present table has its address, or has none: the first devices need it. */
    async resolved(): Promise<void> {
      await lookAll();
    },
    stop(): void {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

export type AddressBook = ReturnType<typeof keepAddresses>;

/** DNS servers give the addresses of a name in another order each time. */
function isSame(known: readonly string[], found: readonly string[]): boolean {
  return known.length === found.length && found.every((address) => known.includes(address));
}

function hostOf(node: Node): string {
  return parseNodeUrl(node.url).host;
}
