import type { Node } from '../nodes/node.ts';
import type { NodeChange } from '../nodes/table.ts';
import { type MoveCounts, type MoveTimes, NOTHING_MOVED } from './move-meter.ts';
import { Mover, type MoverOptions, type MoverProgress } from './mover.ts';

/** Sessions a second that leave one node at most, over all proxies: one of 10,000 is empty in less than two minutes. */
export const DEFAULT_DRAIN_RATE = 100;

type DrainCause = 'drain' | 'removed';

interface DrainsOptions extends Pick<MoverOptions, 'clock' | 'timers' | 'isHeld'> {
  /** Connections of this proxy at a node, also at one that has just been removed. */
  readonly liveAt: (id: string) => number;
  readonly move: (from: string, count: number, cause: DrainCause) => ReturnType<MoverOptions['move']>;
  /** Proxies that share the rate. */
  readonly proxies: () => number;
  readonly onProgress: (node: Node, progress: MoverProgress) => void;
}

/** A drain as another process goes on with it. */
export interface HandedDrain extends MoveCounts {
  readonly node: string;
  /** As somebody asked for it, sessions a second over all proxies. */
  readonly rate?: number | undefined;
}

interface Drain {
  readonly node: Node;
  readonly cause: DrainCause;
  readonly mover: Mover;
}

/**
 * Sees to it that sessions leave nodes that are drained or removed: each proxy moves its own, so what is decided at one
 * holds for all. Connections that are relayed stay until they leave.
 */
export class Drains {
  private readonly options: DrainsOptions;
  private readonly drains = new Map<string, Drain>();
  /** Rates that a person asked for, sessions a second over all proxies. */
  private readonly rates = new Map<string, number>();
  /** What an older process has moved of drains that go on here. */
  private earlier = new Map<string, MoveCounts>();

  constructor(options: DrainsOptions) {
    this.options = options;
  }

  /** Call it for every change of the node table. */
  changed({ kind, node }: NodeChange): void {
    if (kind === 'removed') {
      if (this.options.liveAt(node.id) > 0) this.begin(node, 'removed');
      else this.end(node.id);
      this.forget(node.id);
    } else if (node.state !== 'draining') {
      this.end(node.id);
      this.forget(node.id);
    } else if (this.drains.get(node.id)?.cause !== 'drain') this.begin(node, 'drain');
  }

  /** Sessions a second over all proxies; holds for the drain under way, or for the next one. */
  setRate(id: string, rate: number): void {
    this.rates.set(id, rate);
    this.drains.get(id)?.mover.setRate(this.rateOf(id));
  }

  /** Undefined where nothing is drained. */
  progress(id: string): MoverProgress | undefined {
    return this.drains.get(id)?.mover.progress();
  }

  /** A session has moved, or no node took it. */
  reattached(from: string, cause: string, ok: boolean, times: MoveTimes): void {
    const drain = this.drains.get(from);
    drain?.mover.ended(ok, cause === drain.cause, times);
  }

  /** Not of nodes that are removed: the next process does not know them, and their sessions stay here. */
  describe(): HandedDrain[] {
    const drained = [...this.drains.values()].filter(({ cause }) => cause === 'drain');
    const ids = new Set([...this.rates.keys(), ...drained.map(({ node }) => node.id)]);
    return [...ids].map((node) => {
      const { moved, failed } = this.progress(node) ?? NOTHING_MOVED;
      return { node, rate: this.rates.get(node), moved, failed };
    });
  }

  /** Those that are under way here go on by these rates and counts, and so do those that begin for these nodes. */
  restore(handed: readonly HandedDrain[]): void {
    this.earlier = new Map(handed.map(({ node, moved, failed }) => [node, { moved, failed }]));
    this.rates.clear();
    for (const { node, rate } of handed) if (rate !== undefined) this.rates.set(node, rate);
    for (const { node, cause } of [...this.drains.values()]) this.begin(node, cause);
  }

  stop(): void {
    for (const id of [...this.drains.keys()]) this.end(id);
  }

  private begin(node: Node, cause: DrainCause): void {
    this.end(node.id);
    const { options } = this;
    const mover = new Mover({
      ...options,
      next: () => ({ from: node.id, count: Number.POSITIVE_INFINITY }),
      left: () => options.liveAt(node.id),
      move: ({ from, count }) => options.move(from, count, cause),
      rate: this.rateOf(node.id),
      earlier: cause === 'drain' ? this.earlier.get(node.id) : undefined,
      once: false,
      onProgress: (progress) => {
        options.onProgress(node, progress);
        if (cause === 'removed' && progress.state === 'done') this.end(node.id);
      },
    });
    this.drains.set(node.id, { node, cause, mover });
  }

  private end(id: string): void {
    this.drains.get(id)?.mover.stop();
    this.drains.delete(id);
  }

  private forget(id: string): void {
    this.rates.delete(id);
    this.earlier.delete(id);
  }

  private rateOf(id: string): number {
    return (this.rates.get(id) ?? DEFAULT_DRAIN_RATE) / Math.max(1, this.options.proxies());
  }
}
