import { BreakwaterError } from '../base/errors.ts';
import { didYouMean } from '../base/similar.ts';
import type { AdminState, Health, Node, NodeSpec } from './node.ts';
import { checkWeight } from './spec.ts';

/** One change of one node; `node` is how it stands now, or last stood. */
export type NodeChange =
  | { readonly kind: 'added' | 'removed'; readonly node: Node }
  /** `changed`: something declared other than the weight, such as the URL. */
  | { readonly kind: 'changed' | 'state' | 'weight' | 'busy'; readonly node: Node; readonly previous: Node }
  | { readonly kind: 'health'; readonly node: Node; readonly previous: Node; readonly cause: string };

type NodeListener = (change: NodeChange) => void;

/** Ids that an error message lists at most. */
const LISTED_IDS = 20;

/**
 * What this proxy holds to be true of its nodes, in the order they came. Listeners are called one after the other
 * before the changing call returns; they must not throw, and a change they make is told after the present one.
 *
 * What always holds: an id names one node; its `state` is what was decided and its `health` what was observed, and neither changes
 * the other; `version` grows with every change and with nothing else; every change is told once, in the order made.
 */
export class NodeTable {
  readonly #nodes = new Map<string, Node>();
  readonly #listeners = new Set<NodeListener>();
  readonly #untold: NodeChange[] = [];
  #telling = false;
  #version = 0;

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  /**
   * Adds a node, or replaces what is declared of it. A new node is `enabled` unless `state` says otherwise; a known
   * one keeps its state, and its health too unless it is now reached or probed elsewhere.
   * @throws BreakwaterError NODE_INVALID for a weight out of range
   */
  put(spec: NodeSpec, state?: AdminState): Node {
    checkWeight(spec.id, spec.weight);
    const previous = this.#nodes.get(spec.id);
    if (!previous) {
      const node: Node = { ...spec, state: state ?? 'enabled', health: 'unknown' };
      this.#set(node, { kind: 'added', node });
      return node;
    }
    this.#redeclare(previous, spec);
    this.setWeight(spec.id, spec.weight);
    return this.setState(spec.id, state ?? previous.state);
  }

  /** @throws BreakwaterError NODE_UNKNOWN */
  remove(id: string): Node {
    const node = this.get(id);
    this.#nodes.delete(id);
    this.#tell({ kind: 'removed', node });
    return node;
  }

  /** @throws BreakwaterError NODE_UNKNOWN */
  setState(id: string, state: AdminState): Node {
    const previous = this.get(id);
    if (previous.state === state) return previous;
    const node = { ...previous, state };
    this.#set(node, { kind: 'state', node, previous });
    return node;
  }

  /** @throws BreakwaterError NODE_UNKNOWN, NODE_INVALID */
  setWeight(id: string, weight: number): Node {
    const previous = this.get(id);
    checkWeight(id, weight);
    if (previous.weight === weight) return previous;
    const node = { ...previous, weight };
    this.#set(node, { kind: 'weight', node, previous });
    return node;
  }

  /**
   * Tells listeners only when the health is another than before.
   * @throws BreakwaterError NODE_UNKNOWN
   */
  setHealth(id: string, health: Health, cause: string): Node {
    const previous = this.get(id);
    if (previous.health === health) return previous;
    const node = { ...previous, health };
    this.#set(node, { kind: 'health', node, previous, cause });
    return node;
  }

  /**
   * Tells listeners only when it is another than before.
   * @throws BreakwaterError NODE_UNKNOWN
   */
  setBusy(id: string, isBusy: boolean): Node {
    const previous = this.get(id);
    if ((previous.isBusy ?? false) === isBusy) return previous;
    const { isBusy: _, ...rest } = previous;
    const node: Node = isBusy ? { ...rest, isBusy } : rest;
    this.#set(node, { kind: 'busy', node, previous });
    return node;
  }

  has(id: string): boolean {
    return this.#nodes.has(id);
  }

  /** @throws BreakwaterError NODE_UNKNOWN, naming the nodes that exist */
  get(id: string): Node {
    const node = this.#nodes.get(id);
    if (node) return node;
    const ids = [...this.#nodes.keys()];
    const more = ids.length > LISTED_IDS ? ` and ${ids.length - LISTED_IDS} more` : '';
    const existing =
      ids.length === 0 ? 'there are no nodes' : `nodes are ${ids.slice(0, LISTED_IDS).join(', ')}${more}`;
    throw new BreakwaterError(
      'NODE_UNKNOWN',
      `no node ${JSON.stringify(id.slice(0, 64))}${didYouMean(id, ids)}: ${existing}`,
    );
  }

  list(): readonly Node[] {
    return [...this.#nodes.values()];
  }

  byPool(pool: string): readonly Node[] {
    return this.list().filter((node) => node.pool === pool);
  }

  /** @returns a function that ends the subscription */
  onChange(listener: NodeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #redeclare(previous: Node, spec: NodeSpec): void {
    const moved =
      previous.url !== spec.url || previous.probeUrl !== spec.probeUrl || previous.pool !== spec.pool;
    if (!moved && previous.source === spec.source && previous.maxConnections === spec.maxConnections) return;
    const { weight, state, health, isBusy } = previous;
    const observed = moved ? { health: 'unknown' as const } : { health, ...(isBusy && { isBusy }) };
    const node: Node = { ...spec, weight, state, ...observed };
    this.#set(node, { kind: 'changed', node, previous });
  }

  #set(node: Node, change: NodeChange): void {
    this.#nodes.set(node.id, node);
    this.#tell(change);
  }

  /** The queue keeps the order of changes for every listener, also when one of them makes the next change. */
  #tell(change: NodeChange): void {
    this.#version++;
    this.#untold.push(change);
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let told = this.#untold.shift(); told; told = this.#untold.shift()) {
        for (const listener of this.#listeners) listener(told);
      }
    } finally {
      this.#telling = false;
    }
  }
}
