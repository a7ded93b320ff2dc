import type { Candidate, Selection, SelectionKey, Strategy } from '../balance/strategy.ts';
import type { Target } from '../connection/wire.ts';
import type { Random } from '../time.ts';
import type { Slot } from './routing-table.ts';

/** What a balancer reads of the routing table. */
export interface SlotSource {
  changed(): Slot[] | undefined;
  connections(slot: number): number;
}

/**
 * Chooses nodes for this thread: one selection a pool over the usable nodes, and behind it one over the unusable
 * ones. Health orders, it does not exclude: a device whose healthy candidates have all failed tries the others too,
 * and when no node is healthy all are tried (panic mode) by the same rule.
 */
export function createBalancer(source: SlotSource, strategies: readonly Strategy[], random: Random) {
  const targets: Target[] = [];
  let slots: readonly Slot[] = [];
  let healthy: Selection[] = [];
  let lastResort: Selection[] = [];

  function rebuild(): void {
    for (const { slot, id, host, port } of slots) targets[slot] = { slot, nodeId: id, host, port };
    const context = { connections: (slot: number) => source.connections(slot), random };
    const select = (usable: boolean): Selection[] =>
      strategies.map((strategy, pool) => strategy(setOf(slots, pool, usable), context));
    healthy = select(true);
    lastResort = select(false);
  }

  return {
    /** Nodes of a pool for one connection, best first; before all others the preferred one, if it may take it. */
    *candidates(pool: number, key: SelectionKey, preferred?: string): Generator<Target, undefined> {
      const changed = source.changed();
      if (changed !== undefined) {
        slots = changed;
        rebuild();
      }
      const first = preferred === undefined ? undefined : takerOf(slots, pool, preferred)?.slot;
      if (first !== undefined) yield targets[first] as Target;
      for (const selections of [healthy, lastResort]) {
        const order = selections[pool]?.candidates(key);
        for (let next = order?.next(); next !== undefined && !next.done; next = order?.next()) {
          const target = targets[next.value];
          if (target !== undefined && next.value !== first) yield target;
        }
      }
      return undefined;
    },
  };
}

export type Balancer = ReturnType<typeof createBalancer>;

function takerOf(slots: readonly Slot[], pool: number, id: string): Slot | undefined {
  return slots.find((slot) => slot.id === id && slot.pool === pool && slot.enabled && slot.usable);
}

function setOf(slots: readonly Slot[], pool: number, usable: boolean): Candidate[] {
  return slots.filter((slot) => slot.pool === pool && slot.enabled && slot.usable === usable);
}
