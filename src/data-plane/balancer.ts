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
  let preferred: Selection[] = [];
  let lastResort: Selection[] = [];

  function rebuild(slots: readonly Slot[]): void {
    for (const { slot, id, host, port } of slots) targets[slot] = { slot, nodeId: id, host, port };
    const context = { connections: (slot: number) => source.connections(slot), random };
    const select = (usable: boolean): Selection[] =>
      strategies.map((strategy, pool) => strategy(setOf(slots, pool, usable), context));
    preferred = select(true);
    lastResort = select(false);
  }

  return {
    /** Nodes of a pool for one connection, best first. */
    *candidates(pool: number, key: SelectionKey): Generator<Target, undefined> {
      const slots = source.changed();
      if (slots !== undefined) rebuild(slots);
      for (const selections of [preferred, lastResort]) {
        const order = selections[pool]?.candidates(key);
        for (let next = order?.next(); next !== undefined && !next.done; next = order?.next()) {
          const target = targets[next.value];
          if (target !== undefined) yield target;
        }
      }
      return undefined;
    },
  };
}

export type Balancer = ReturnType<typeof createBalancer>;

function setOf(slots: readonly Slot[], pool: number, usable: boolean): Candidate[] {
  return slots.filter((slot) => slot.pool === pool && slot.enabled && slot.usable === usable);
}
