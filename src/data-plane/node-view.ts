import type { Random } from '../base/time.ts';
import type { Target } from '../connection/wire.ts';
import type { Slot } from '../data-plane-api/routing-table.ts';
import { NodeAddresses } from '../nodes/addresses.ts';
import type { Candidate, Selection, Strategy } from '../policy/balance/strategy.ts';

/** What a balancer reads of the routing table. */
export interface SlotSource {
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
export interface View {
  /** The nodes that take devices, by slot. */
  readonly places: readonly (Place | undefined)[];
  /** By pool: a selection over the usable nodes, and one over the unusable. */
  readonly selections: readonly (readonly Selection[])[];
}

/**
 * The nodes as the routing table showed them last, ready to be chosen from. The table is read again only where it has
 * changed, so that choosing a node for a connection builds nothing.
 */
export class NodeView {
  private readonly source: SlotSource;
  private strategies: readonly (Strategy | undefined)[];
  private readonly context: Parameters<Strategy>[1];
  private slots: readonly Slot[] = [];
  private present: View = { places: [], selections: [] };
  /** Of nodes that have several: which of them answered last is known as long as they stay the same. */
  private addresses = new Map<string, NodeAddresses>();

  /** @param strategies by the number of the pool; a pool without one has no candidates */
  constructor(source: SlotSource, strategies: readonly (Strategy | undefined)[], random: Random) {
    this.source = source;
    this.strategies = strategies;
    this.context = { connections: (slot) => source.connections(slot), random };
  }

  /** As it was read last. */
  get current(): View {
    return this.present;
  }

  use(strategies: readonly (Strategy | undefined)[]): void {
    this.strategies = strategies;
    this.present = this.build();
  }

  /** @param patiently what is being written is waited for */
  refresh(patiently = false): View {
    const changed = this.source.changed(patiently);
    if (changed !== undefined) {
      this.slots = changed;
      this.present = this.build();
    }
    return this.present;
  }

  /** The slot of a node that can take a device now, or -1. */
  slotOf(pool: number, nodeId: string): number {
    return this.present.places.findIndex(
      (place) => place?.usable && targetIn(place, pool)?.nodeId === nodeId,
    );
  }

  /** A node that takes devices, or that is left by them: a drained one is in no place. */
  target(pool: number, nodeId: string): Target | undefined {
    const slot = this.slots.find((each) => each.id === nodeId && isIn(each, pool));
    if (slot === undefined) return undefined;
    return targetIn(this.present.places[slot.slot] ?? placeOf(slot, undefined), pool);
  }

  private build(): View {
    const { slots } = this;
    const length = slots.reduce((most, { slot }) => Math.max(most, slot + 1), 0);
    const places = new Array<Place | undefined>(length).fill(undefined);
    const before = this.addresses;
    this.addresses = new Map();
    for (const slot of slots) {
      const { host, otherHosts } = slot;
      const hosts = otherHosts && [host, ...otherHosts];
      const known = hosts && (before.get(hosts.join()) ?? new NodeAddresses(hosts));
      if (known !== undefined) this.addresses.set(known.hosts.join(), known);
      if (slot.enabled) places[slot.slot] = placeOf(slot, known);
    }
    const selections = this.strategies.map((strategy, pool) =>
      strategy === undefined
        ? []
        : [true, false].map((healthy) => strategy(setOf(slots, pool, healthy), this.context)),
    );
    return { places, selections };
  }
}

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
export function targetIn(place: Place | undefined, pool: number): Target | undefined {
  if (place?.pool === pool) return place.target;
  return place?.former?.pool === pool ? place.former.target : undefined;
}
