import type { Node } from '../nodes/node.ts';
import type { NodeChange } from '../nodes/table.ts';
import { type MoveCounts, NOTHING_MOVED } from './move-meter.ts';
import { Mover, type MoverOptions, type MoverProgress } from './mover.ts';

/** Sessions a second that leave one node, over all proxies: a node of 10,000 is empty in less than two minutes. */
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
export function createDrains(options: DrainsOptions) {
  const { liveAt, move, proxies } = options;
  const drains = new Map<string, Drain>();
  /** Rates that a person asked for, sessions a second over all proxies. */
  const rates = new Map<string, number>();
  /** What an older process has moved of drains that go on here. */
  let earlier = new Map<string, MoveCounts>();

  const rateOf = (id: string): number => (rates.get(id) ?? DEFAULT_DRAIN_RATE) / Math.max(1, proxies());

  function start(node: Node, cause: DrainCause): void {
    stop(node.id);
    const mover = new Mover({
      ...options,
      next: () => ({ from: node.id, count: Number.POSITIVE_INFINITY }),
      left: () => liveAt(node.id),
      move: ({ from, count }) => move(from, count, cause),
      rate: rateOf(node.id),
      earlier: cause === 'drain' ? earlier.get(node.id) : undefined,
      once: false,
      onProgress(progress) {
        options.onProgress(node, progress);
        if (cause === 'removed' && progress.state === 'done') stop(node.id);
      },
    });
    drains.set(node.id, { node, cause, mover });
  }

  function stop(id: string): void {
    drains.get(id)?.mover.stop();
    drains.delete(id);
  }

  function forget(id: string): void {
    rates.delete(id);
    earlier.delete(id);
  }

  return {
    /** Call it for every change of the node table. */
    changed({ kind, node }: NodeChange): void {
      if (kind === 'removed') {
        if (liveAt(node.id) > 0) start(node, 'removed');
        else stop(node.id);
        forget(node.id);
      } else if (node.state !== 'draining') {
        stop(node.id);
        forget(node.id);
      } else if (drains.get(node.id)?.cause !== 'drain') start(node, 'drain');
    },
    /** Sessions a second over all proxies; holds for the drain under way, or for the next one. */
    setRate(id: string, rate: number): void {
      rates.set(id, rate);
      drains.get(id)?.mover.setRate(rateOf(id));
    },
    /** Undefined where nothing is drained. */
    progress(id: string): MoverProgress | undefined {
      return drains.get(id)?.mover.progress();
    },
    /** A session has moved, or no node took it. */
    reattached(from: string, cause: string, ok: boolean): void {
      const drain = drains.get(from);
      drain?.mover.ended(ok, cause === drain.cause);
    },
    /** Not of nodes that are removed: the next process does not know them, and their sessions stay here. */
    describe(): HandedDrain[] {
      const drained = [...drains.values()].filter(({ cause }) => cause === 'drain');
      const ids = new Set([...rates.keys(), ...drained.map(({ node }) => node.id)]);
      return [...ids].map((node) => {
        const { moved, failed } = drains.get(node)?.mover.progress() ?? NOTHING_MOVED;
        return { node, rate: rates.get(node), moved, failed };
      });
    },
    /** Those that are under way here go on by these rates and counts, and so do those that begin for these nodes. */
    restore(handed: readonly HandedDrain[]): void {
      earlier = new Map(handed.map(({ node, moved, failed }) => [node, { moved, failed }]));
      rates.clear();
      for (const { node, rate } of handed) if (rate !== undefined) rates.set(node, rate);
      for (const { node, cause } of [...drains.values()]) start(node, cause);
    },
    stop(): void {
      for (const id of [...drains.keys()]) stop(id);
    },
  };
}

export type Drains = ReturnType<typeof createDrains>;
