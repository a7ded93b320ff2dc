import type { Random } from '../base/time.ts';
import type { Target } from '../connection/wire.ts';
import type { Slot } from '../data-plane-api/routing-table.ts';
import { NodeAddresses } from '../nodes/addresses.ts';
import type { Candidate, Selection, SelectionKey, Strategy } from '../policy/balance/strategy.ts';

/** What a balancer reads of the routing table. */
interface SlotSource {
  /** `patiently`: what is being written is waited for. */
  changed(patiently?: boolean): Slot[] | undefined;
  connections(slot: number): number;
}

/** A node that takes devices. */
interface Place {
  readonly pool: number;
  readonly target: Target;
  /** The same of the pool that it is in as well, while a reload is under way. */
  readonly former: { readonly pool: number; readonly target: Target } | undefined;
  readonly usable: boolean;
}

/** What one reading of the routing table gave; a retry may still walk the selections of an older one. */
interface View {
  /** The nodes that take devices, by slot. */
  readonly places: readonly (Place | undefined)[];
  /** By pool: a selection over the usable nodes, and one over the unusable. */
  readonly selections: readonly (readonly Selection[])[];
}

/**
 * Chooses nodes for this thread: one selection a pool over the usable nodes, and behind it one over the unusable
 * ones. Health orders, it does not exclude: a device whose healthy candidates have all failed tries the others too,
 * and when no node is healthy all are tried (panic mode) by the same rule.
 */
export function createBalancer(
  source: SlotSource,
  /** By the number of the pool. */
  strategies: readonly (Strategy | undefined)[],
  random: Random,
) {
  let strategyOf = strategies;
  let slots: readonly Slot[] = [];
  const context = { connections: (slot: number) => source.connections(slot), random };
  let view: View = { places: [], selections: [] };
  /** Of nodes that have several: which of them answered last is known as long as they stay the same. */
  let addresses = new Map<string, NodeAddresses>();

  function refresh(patiently = false): void {
    const changed = source.changed(patiently);
    if (changed === undefined) return;
    slots = changed;
    view = viewNow();
  }

  function viewNow(): View {
    const length = slots.reduce((most, { slot }) => Math.max(most, slot + 1), 0);
    const places = new Array<Place | undefined>(length).fill(undefined);
    const before = addresses;
    addresses = new Map();
    for (const slot of slots) {
      const { host, otherHosts } = slot;
      const hosts = otherHosts && [host, ...otherHosts];
      const known = hosts && (before.get(hosts.join()) ?? new NodeAddresses(hosts));
      if (known !== undefined) addresses.set(known.hosts.join(), known);
      if (slot.enabled) places[slot.slot] = placeOf(slot, known);
    }
    const selections = strategyOf.map((strategy, pool) =>
      strategy === undefined
        ? []
        : [true, false].map((healthy) => strategy(setOf(slots, pool, healthy), context)),
    );
    return { places, selections };
  }

  /** The slot of a node that can take a device now, or -1. */
  function slotOf(pool: number, nodeId: string): number {
    return view.places.findIndex((place) => place?.usable && targetIn(place, pool)?.nodeId === nodeId);
  }

  /**
   * One connection's way through the nodes. Between two of them nodes may come, go and change. No generator, because one
   * is made for every connection and this is a quarter of the size.
   */
  class Walk implements IterableIterator<Target, undefined> {
    private readonly pool: number;
    private readonly key: SelectionKey;
    private readonly preferred: string | undefined;
    private begun: View | undefined;
    private first = -1;
    private step = 0;
    private isEmpty = true;
    private order: Iterator<number, undefined> | undefined;

    constructor(pool: number, key: SelectionKey, preferred: string | undefined) {
      this.pool = pool;
      this.key = key;
      this.preferred = preferred;
    }

    [Symbol.iterator](): this {
      return this;
    }

    next(): IteratorResult<Target, undefined> {
      refresh();
      const found = this.begun === undefined ? this.begin() : this.nextOf(this.begun);
      if (found.done && this.isEmpty) return this.beginAgain();
      this.isEmpty = false;
      return found;
    }

    private begin(): IteratorResult<Target, undefined> {
      this.begun = view;
      if (this.preferred !== undefined) this.first = slotOf(this.pool, this.preferred);
      if (this.first >= 0)
        return { done: false, value: targetIn(view.places[this.first], this.pool) as Target };
      return this.nextOf(view);
    }

    /** Nobody is turned away because nodes were being written at the moment of the look. */
    private beginAgain(): IteratorResult<Target, undefined> {
      this.isEmpty = false;
      const before = view;
      refresh(true);
      if (view === before) return { done: true, value: undefined };
      this.step = 0;
      return this.begin();
    }

    private nextOf({ places, selections }: View): IteratorResult<Target, undefined> {
      const steps = selections[this.pool] ?? [];
      for (; this.step < steps.length; this.step++) {
        this.order ??= (steps[this.step] as Selection).candidates(this.key);
        for (let next = this.order.next(); !next.done; next = this.order.next()) {
          const target = targetIn(view.places[next.value], this.pool);
          const isSame = target?.nodeId === places[next.value]?.target.nodeId;
          if (target !== undefined && isSame && next.value !== this.first)
            return { done: false, value: target };
        }
        this.order = undefined;
      }
      return { done: true, value: undefined };
    }
  }

  return {
    /** The strategies of the pools from now on, by their numbers; a pool without one has no candidates. */
    use(next: readonly (Strategy | undefined)[]): void {
      strategyOf = next;
      view = viewNow();
    },

    /** The first of these nodes that can take a device now. */
    firstUsable(pool: number, nodeIds: readonly string[]): string | undefined {
      refresh();
      return nodeIds.find((nodeId) => slotOf(pool, nodeId) >= 0);
    },

    /** Has the pool a node that can take a device now, besides these? */
    hasOther(pool: number, nodeIds: readonly string[]): boolean {
      refresh();
      return view.places.some((place) => {
        const nodeId = targetIn(place, pool)?.nodeId;
        return place?.usable && nodeId !== undefined && !nodeIds.includes(nodeId);
      });
    },

    /** The node of a pool that this names: by its id, its `host:port` or its host. */
    named(pool: number, reference: string): string | undefined {
      refresh();
      const isNamed = ({ nodeId, host, port, addresses }: Target): boolean =>
        nodeId === reference ||
        (addresses?.hosts ?? [host]).some((at) => reference === at || reference === `${at}:${port}`);
      const targets = view.places.flatMap((place) => targetIn(place, pool) ?? []);
      return targets.find(isNamed)?.nodeId;
    },

    /** Nodes of a pool for one connection, best first; before all others the preferred one, if it can take the device. */
    candidates: (pool: number, key: SelectionKey, preferred?: string): IterableIterator<Target, undefined> =>
      new Walk(pool, key, preferred),
  };
}

export type Balancer = ReturnType<typeof createBalancer>;

function setOf(slots: readonly Slot[], pool: number, usable: boolean): Candidate[] {
  return slots.filter((slot) => isIn(slot, pool) && slot.enabled && isPreferred(slot) === usable);
}

function isIn({ pool, formerPool }: Slot, wanted: number): boolean {
  return pool === wanted || formerPool === wanted;
}

/** A node that takes nobody now is asked behind the others, as an unhealthy one is. */
function isPreferred({ usable, busy }: Slot): boolean {
  return usable && !busy;
}

function placeOf(from: Slot, addresses: NodeAddresses | undefined): Place {
  const { slot, id, host, port, serverName, pool, formerPool } = from;
  const inPool = (number: number): Target => {
    const tls = serverName === '' ? undefined : { pool: number, serverName };
    return { slot, nodeId: id, host, port, ...(addresses && { addresses }), ...(tls && { tls }) };
  };
  const former = formerPool === undefined ? undefined : { pool: formerPool, target: inPool(formerPool) };
  return { pool, target: inPool(pool), former, usable: isPreferred(from) };
}

/** As a device of this pool reaches the node; undefined where the pool does not have it. */
function targetIn(place: Place | undefined, pool: number): Target | undefined {
  if (place?.pool === pool) return place.target;
  return place?.former?.pool === pool ? place.former.target : undefined;
}
