import type { Candidate, Selection, SelectionKey, Strategy } from '../balance/strategy.ts';
import type { Target } from '../connection/wire.ts';
import type { Random } from '../time.ts';
import type { Slot } from './routing-table.ts';

/** What a balancer reads of the routing table. */
export interface SlotSource {
  changed(): Slot[] | undefined;
  connections(slot: number): number;
}

/** What one reading of the routing table gave; a retry may still walk the selections of an older one. */
interface View {
  /** Of the nodes that take devices, by slot. */
  readonly targets: readonly (Target | undefined)[];
  readonly poolOf: readonly (number | undefined)[];
  /** By pool: a selection over the usable nodes, and one over the unusable. */
  readonly selections: readonly (readonly Selection[])[];
}

/**
 * Chooses nodes for this thread: one selection a pool over the usable nodes, and behind it one over the unusable
 * ones. Health orders, it does not exclude: a device whose healthy candidates have all failed tries the others too,
 * and when no node is healthy all are tried (panic mode) by the same rule.
 */
export function createBalancer(source: SlotSource, strategies: readonly Strategy[], random: Random) {
  const context = { connections: (slot: number) => source.connections(slot), random };
  let view: View = { targets: [], poolOf: [], selections: [] };

  function refresh(): void {
    const slots = source.changed();
    if (slots !== undefined) view = viewOf(slots);
  }

  function viewOf(slots: readonly Slot[]): View {
    const targets: Target[] = [];
    const poolOf: number[] = [];
    for (const { slot, id, host, port, pool, enabled } of slots) {
      if (!enabled) continue;
      targets[slot] = { slot, nodeId: id, host, port };
      poolOf[slot] = pool;
    }
    const selections = strategies.map((strategy, pool) =>
      [true, false].map((usable) => strategy(setOf(slots, pool, usable), context)),
    );
    return { targets, poolOf, selections };
  }

  return {
    /** Nodes of a pool for one connection, best first. Between two of them nodes may come, go and change. */
    *candidates(pool: number, key: SelectionKey): Generator<Target, undefined> {
      refresh();
      const { targets, selections } = view;
      for (const selection of selections[pool] ?? []) {
        const order = selection.candidates(key);
        for (let next = order.next(); !next.done; next = order.next()) {
          const target = view.targets[next.value];
          const isSame = target?.nodeId === targets[next.value]?.nodeId && view.poolOf[next.value] === pool;
          if (target !== undefined && isSame) yield target;
          refresh();
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
