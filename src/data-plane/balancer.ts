import type { Random } from '../base/time.ts';
import type { Target } from '../connection/wire.ts';
import type { Selection, SelectionKey, Strategy } from '../policy/balance/strategy.ts';
import { NodeView, type SlotSource, targetIn, type View } from './node-view.ts';

/**
 * Chooses nodes for this worker: one selection a pool over the usable nodes, and behind it one over the unusable
 * ones. Health orders, it does not exclude: a device whose healthy candidates have all failed tries the others too,
 * and when no node is healthy all are tried (panic mode) by the same rule.
 */
export class Balancer {
  private readonly nodes: NodeView;

  /** @param strategies by the number of the pool */
  constructor(source: SlotSource, strategies: readonly (Strategy | undefined)[], random: Random) {
    this.nodes = new NodeView(source, strategies, random);
  }

  /** The strategies of the pools from here on, by their numbers; a pool without one has no candidates. */
  use(strategies: readonly (Strategy | undefined)[]): void {
    this.nodes.use(strategies);
  }

  /** The first of these nodes that can take a device at present. */
  firstUsable(pool: number, nodeIds: readonly string[]): string | undefined {
    this.nodes.refresh();
    return nodeIds.find((nodeId) => this.nodes.slotOf(pool, nodeId) >= 0);
  }

  /** Has the pool a node that can take a device at present, besides these? */
  hasOther(pool: number, nodeIds: readonly string[]): boolean {
    return this.nodes.refresh().places.some((place) => {
      const nodeId = targetIn(place, pool)?.nodeId;
      return place?.usable && nodeId !== undefined && !nodeIds.includes(nodeId);
    });
  }

  /** A node of a pool, whether or not it can take a device at present. */
  target(pool: number, nodeId: string): Target | undefined {
    this.nodes.refresh(true);
    return this.nodes.target(pool, nodeId);
  }

  /** The node of a pool that this names: by its id, its `host:port` or its host. */
  named(pool: number, reference: string): string | undefined {
    const isNamed = ({ nodeId, host, port, addresses }: Target): boolean =>
      nodeId === reference ||
      (addresses?.hosts ?? [host]).some((at) => reference === at || reference === `${at}:${port}`);
    const targets = this.nodes.refresh().places.flatMap((place) => targetIn(place, pool) ?? []);
    return targets.find(isNamed)?.nodeId;
  }

  /** Nodes of a pool for one connection, best first; before all others the preferred one, if it can take the device. */
  candidates(pool: number, key: SelectionKey, preferred?: string): IterableIterator<Target, undefined> {
    return new Walk(this.nodes, pool, key, preferred);
  }
}

/**
 * One connection's way through the nodes. Between two of them nodes may come, go and change. No generator, because one
 * is made for every connection and this is a quarter of the size.
 */
class Walk implements IterableIterator<Target, undefined> {
  private readonly nodes: NodeView;
  private readonly pool: number;
  private readonly key: SelectionKey;
  private readonly preferred: string | undefined;
  /** What the nodes were at the first step; its selections are walked to their end. */
  private begun: View | undefined;
  /** The slot of the preferred node, or -1. */
  private first = -1;
  private step = 0;
  private order: Iterator<number, undefined> | undefined;

  constructor(nodes: NodeView, pool: number, key: SelectionKey, preferred: string | undefined) {
    this.nodes = nodes;
    this.pool = pool;
    this.key = key;
    this.preferred = preferred;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Target, undefined> {
    const view = this.nodes.refresh();
    if (this.begun !== undefined) return this.nextOf(this.begun);
    const found = this.begin(view);
    return found.done ? this.beginAgain(view) : found;
  }

  private begin(view: View): IteratorResult<Target, undefined> {
    this.begun = view;
    if (this.preferred !== undefined) this.first = this.nodes.slotOf(this.pool, this.preferred);
    if (this.first >= 0)
      return { done: false, value: targetIn(view.places[this.first], this.pool) as Target };
    return this.nextOf(view);
  }

  /** Nobody is turned away because nodes were being written at the moment of the look. */
  private beginAgain(before: View): IteratorResult<Target, undefined> {
    const view = this.nodes.refresh(true);
    if (view === before) return { done: true, value: undefined };
    this.step = 0;
    return this.begin(view);
  }

  private nextOf({ places, selections }: View): IteratorResult<Target, undefined> {
    const present = this.nodes.current.places;
    const steps = selections[this.pool] ?? [];
    for (; this.step < steps.length; this.step++) {
      this.order ??= (steps[this.step] as Selection).candidates(this.key);
      for (let next = this.order.next(); !next.done; next = this.order.next()) {
        const target = targetIn(present[next.value], this.pool);
        const isSame = target?.nodeId === places[next.value]?.target.nodeId;
        if (target !== undefined && isSame && next.value !== this.first)
          return { done: false, value: target };
      }
      this.order = undefined;
    }
    return { done: true, value: undefined };
  }
}
