import { doorRefusalLabels } from '../admission/door.ts';
import type { EndReason } from '../connection/world.ts';
import { BreakwaterError } from '../errors.ts';
import { refusals } from '../routing/rules.ts';

/**
 * The routing table: the one place where the control plane and the data threads meet. A SharedArrayBuffer of node
 * slots; control writes them, data threads read them and count in them.
 *
 * - The generation is a seqlock: odd while control writes. A reader that sees it changed decodes the slots anew,
 *   and keeps its last good copy when a write came between.
 * - `live` is one atomic count a slot: what least-connections compares. Beside it every thread keeps its own counts
 *   by listener and slot (single writer), so that the counts of a thread that died can be given back.
 * - A slot is used again only when its node is gone and nobody is counted at it any more.
 */
export const MAX_NODES = 1024;
export const MAX_LISTENERS = 64; // as many as the configuration may hold
const TEXT_BYTES = 128; // id (64) and address (45 at most for IPv6)
const ID_BYTES = 64;

const USED = 1;
const ENABLED = 2;
const USABLE = 4;

/** What control says of one node. */
export interface SlotState {
  readonly id: string;
  /** Index of the pool in the configuration. */
  readonly pool: number;
  /** IPv4 or IPv6 literal; empty while the name does not resolve, which also means not enabled. */
  readonly host: string;
  readonly port: number;
  /** Relative share; only the proportions count. */
  readonly weight: number;
  /** Takes new connections, by a person's decision. */
  readonly enabled: boolean;
  /** Healthy, or not known to be unhealthy. */
  readonly usable: boolean;
}

export interface Slot extends SlotState {
  readonly slot: number;
}

/** Counters of one thread, in the order they lie in shared memory; `devices` is the one that also goes down. */
const threadCounters = ['devices', 'bytesFromDevice', 'bytesToDevice', 'eventsDropped'] as const;
type ThreadCounter = (typeof threadCounters)[number];

/** Why a device is turned away: the `reason` label of `connect_rejected_total`. */
export const rejectReasons = [
  'not-mqtt',
  'too-large',
  'malformed',
  'protocol-version',
  'client-id',
  'connect-timeout',
  'no-node',
  ...refusals,
  'max-connections',
  'tls-failed',
  'tls-busy',
  'websocket-refused',
  'node-refused',
  ...doorRefusalLabels,
] as const;

/** Why a served device's connection ended: the `cause` label of `device_disconnects_total`. */
export const endReasons = [
  'device-closed',
  'device-reset',
  'device-timeout',
  'tls-failed',
  'node-closed',
  'node-reset',
  'node-timeout',
  'connect-timeout',
  'connect-rejected',
  'no-node',
  'kicked',
  'taken-over',
  'keep-alive',
  'protocol-error',
  'immovable',
  'granted-less',
  'session-lost',
  'shutdown',
] as const satisfies readonly EndReason[];

/** MQTT has so many packet types; messages are counted by type, those of devices first and then those of nodes. */
export const PACKET_TYPES = 16;

/** Upper bounds of the dial histogram, in seconds; the last bucket is +Inf. */
export const dialBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

const HEADER_INTS = 4; // generation, slots in use, live devices, spare

/** Where each group of a thread's doubles begins. */
const REJECTED = threadCounters.length;
const DIALS = REJECTED + rejectReasons.length;
const DIAL_SUM = DIALS + dialBuckets.length + 1;
const ACCEPTED = DIAL_SUM + 1;
const ENDED = ACCEPTED + MAX_LISTENERS;
const MESSAGES = ENDED + endReasons.length;
const DOUBLES_PER_THREAD = MESSAGES + 2 * PACKET_TYPES;

/** The views over the shared memory; every thread makes its own from the same buffer. */
export function openTable(memory: SharedArrayBuffer, threads: number) {
  let offset = 0;
  const ints = (length: number): Int32Array => {
    const view = new Int32Array(memory, offset, length);
    offset += view.byteLength;
    return view;
  };
  const header = ints(HEADER_INTS);
  const flags = ints(MAX_NODES);
  const weight = ints(MAX_NODES);
  const pool = ints(MAX_NODES);
  const port = ints(MAX_NODES);
  const live = ints(MAX_NODES);
  const remote = ints(MAX_NODES);
  const counts = ints(threads * MAX_LISTENERS * MAX_NODES);
  const doubles = new Float64Array(memory, offset, threads * DOUBLES_PER_THREAD);
  offset += doubles.byteLength;
  const text = Buffer.from(memory, offset, MAX_NODES * TEXT_BYTES);
  return { header, flags, weight, pool, port, live, remote, counts, doubles, text, threads };
}

export type Table = ReturnType<typeof openTable>;

export function createTableMemory(threads: number): SharedArrayBuffer {
  const ints = HEADER_INTS + MAX_NODES * 6 + threads * MAX_LISTENERS * MAX_NODES;
  return new SharedArrayBuffer(ints * 4 + threads * DOUBLES_PER_THREAD * 8 + MAX_NODES * TEXT_BYTES);
}

const GENERATION = 0;
const SLOTS = 1;
const DEVICES = 2;

/** Control's side: one writer. */
export class TableWriter {
  private readonly table: Table;
  private readonly slotOf = new Map<string, number>();
  /** Slots of nodes that were removed while connections were counted there. */
  private readonly departed = new Map<string, number>();

  constructor(table: Table) {
    this.table = table;
  }

  /** Adds or changes a node. @throws BreakwaterError TABLE_FULL beyond 1,024 nodes, those still in use included */
  put(state: SlotState): void {
    const slot = this.slotOf.get(state.id) ?? this.departed.get(state.id) ?? this.freeSlot();
    this.departed.delete(state.id);
    this.slotOf.set(state.id, slot);
    const { table } = this;
    this.write(() => {
      table.flags[slot] =
        USED | (state.enabled && state.host !== '' ? ENABLED : 0) | (state.usable ? USABLE : 0);
      table.weight[slot] = state.weight;
      table.pool[slot] = state.pool;
      table.port[slot] = state.port;
      const text = slot * TEXT_BYTES;
      table.text.fill(0, text, text + TEXT_BYTES);
      table.text.write(state.id, text, ID_BYTES);
      table.text.write(state.host, text + ID_BYTES, TEXT_BYTES - ID_BYTES);
    });
  }

  /** The node takes nobody any more; who is there stays until it leaves. */
  remove(id: string): void {
    const slot = this.slotOf.get(id);
    if (slot === undefined) return;
    this.slotOf.delete(id);
    this.departed.set(id, slot);
    this.write(() => {
      this.table.flags[slot] = 0;
    });
  }

  /** Connections that other proxies have at a node. */
  setRemote(id: string, connections: number): void {
    const slot = this.slotOf.get(id);
    if (slot !== undefined) Atomics.store(this.table.remote, slot, connections);
  }

  private freeSlot(): number {
    const { flags, live, remote, header } = this.table;
    for (const [id, slot] of this.departed) {
      if (Atomics.load(live, slot) <= 0) this.departed.delete(id);
    }
    for (let slot = 0; slot < MAX_NODES; slot++) {
      if (flags[slot] !== 0 || Atomics.load(live, slot) > 0) continue;
      remote[slot] = 0;
      header[SLOTS] = Math.max(header[SLOTS] ?? 0, slot + 1);
      return slot;
    }
    throw new BreakwaterError(
      'TABLE_FULL',
      `no room for another node: at most ${MAX_NODES}; remove one first`,
    );
  }

  private write(change: () => void): void {
    Atomics.add(this.table.header, GENERATION, 1);
    change();
    Atomics.add(this.table.header, GENERATION, 1);
  }

  /** Live connections of this proxy at a node, also at one that was removed. */
  liveAt(id: string): number {
    const slot = this.slotOf.get(id) ?? this.departed.get(id);
    return slot === undefined ? 0 : Atomics.load(this.table.live, slot);
  }

  /** Live connections of this proxy by node id; nodes without any are left out. */
  liveByNode(): Record<string, number> {
    const counts = [...this.slotOf.keys()].map((id): [string, number] => [id, this.liveAt(id)]);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  /** Live connections at a node, of all proxies. */
  connectionsAt(id: string): number {
    const slot = this.slotOf.get(id);
    return slot === undefined ? 0 : this.liveAt(id) + Atomics.load(this.table.remote, slot);
  }

  /** Devices connected to this proxy, served or not yet. */
  devices(): number {
    return Atomics.load(this.table.header, DEVICES);
  }

  /** Live connections by listener at one node. */
  liveByListener(id: string, listener: number): number {
    const slot = this.slotOf.get(id);
    if (slot === undefined) return 0;
    let sum = 0;
    for (let thread = 0; thread < this.table.threads; thread++) {
      sum += this.table.counts[(thread * MAX_LISTENERS + listener) * MAX_NODES + slot] ?? 0;
    }
    return sum;
  }

  counter(name: ThreadCounter): number {
    return this.sum(threadCounters.indexOf(name));
  }

  rejected(reason: (typeof rejectReasons)[number]): number {
    return this.sum(REJECTED + rejectReasons.indexOf(reason));
  }

  /** Served devices whose connection ended for this reason. */
  ended(reason: EndReason): number {
    return this.sum(ENDED + endReasons.indexOf(reason));
  }

  /** Packets of a type that devices (0) or nodes (1) sent in session mode. */
  messages(side: 0 | 1, packetType: number): number {
    return this.sum(MESSAGES + side * PACKET_TYPES + packetType);
  }

  /** Dial durations in seconds: counts by bucket (the last is +Inf) and their sum. */
  dials(): { readonly bounds: readonly number[]; readonly counts: readonly number[]; readonly sum: number } {
    const counts = Array.from({ length: dialBuckets.length + 1 }, (_, bucket) => this.sum(DIALS + bucket));
    return { bounds: dialBuckets, counts, sum: this.sum(DIAL_SUM) };
  }

  /** Connections accepted at a listener. */
  accepted(listener: number): number {
    return this.sum(ACCEPTED + listener);
  }

  private sum(index: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.table.threads; thread++) {
      sum += this.table.doubles[thread * DOUBLES_PER_THREAD + index] ?? 0;
    }
    return sum;
  }

  /** Gives back what a thread that died had counted. Its totals stay: a counter never goes back. */
  releaseThread(thread: number): void {
    const { counts, live, header, doubles } = this.table;
    const base = thread * MAX_LISTENERS * MAX_NODES;
    for (let i = 0; i < MAX_LISTENERS * MAX_NODES; i++) {
      const count = counts[base + i] ?? 0;
      if (count === 0) continue;
      Atomics.sub(live, i % MAX_NODES, count);
      counts[base + i] = 0;
    }
    const devices = thread * DOUBLES_PER_THREAD + threadCounters.indexOf('devices');
    Atomics.sub(header, DEVICES, doubles[devices] ?? 0);
    doubles[devices] = 0;
  }
}

/** A data thread's side: reads slots, counts connections. */
export class TableReader {
  private readonly table: Table;
  private readonly thread: number;
  private seen = -1;

  constructor(table: Table, thread: number) {
    this.table = table;
    this.thread = thread;
  }

  /** The slots, if they changed since the last call; otherwise (or while control writes) undefined. */
  changed(): Slot[] | undefined {
    const { header } = this.table;
    const generation = Atomics.load(header, GENERATION);
    if (generation === this.seen || (generation & 1) === 1) return undefined;
    const slots: Slot[] = [];
    for (let slot = 0; slot < (header[SLOTS] ?? 0); slot++) {
      if (((this.table.flags[slot] ?? 0) & USED) !== 0) slots.push(this.decode(slot));
    }
    // Read by `add`, not `load`: on ARM the reads above could still move behind a load.
    if (Atomics.add(header, GENERATION, 0) !== generation) return undefined;
    this.seen = generation;
    return slots;
  }

  private decode(slot: number): Slot {
    const { flags, weight, pool, port, text } = this.table;
    const at = slot * TEXT_BYTES;
    const flag = flags[slot] ?? 0;
    return {
      slot,
      id: untilZero(text, at, at + ID_BYTES),
      host: untilZero(text, at + ID_BYTES, at + TEXT_BYTES),
      port: port[slot] ?? 0,
      pool: pool[slot] ?? 0,
      weight: weight[slot] ?? 0,
      enabled: (flag & ENABLED) !== 0,
      usable: (flag & USABLE) !== 0,
    };
  }

  /** Live connections at a slot, over all threads and all proxies. */
  connections(slot: number): number {
    return Atomics.load(this.table.live, slot) + Atomics.load(this.table.remote, slot);
  }

  liveAt(slot: number): number {
    return Atomics.load(this.table.live, slot);
  }

  /** `by` is 1 or -1. */
  countConnection(listener: number, slot: number, by: number): void {
    Atomics.add(this.table.live, slot, by);
    const at = (this.thread * MAX_LISTENERS + listener) * MAX_NODES + slot;
    this.table.counts[at] = (this.table.counts[at] ?? 0) + by;
  }

  /** `by` is 1 or -1; returns how many devices there were before. */
  countDevice(by: number): number {
    this.count('devices', by);
    return Atomics.add(this.table.header, DEVICES, by);
  }

  count(name: ThreadCounter, by: number): void {
    this.add(threadCounters.indexOf(name), by);
  }

  countAccepted(listener: number): void {
    this.add(ACCEPTED + listener, 1);
  }

  countRejected(reason: string): void {
    const index = (rejectReasons as readonly string[]).indexOf(reason);
    if (index >= 0) this.add(REJECTED + index, 1);
  }

  countEnded(reason: EndReason): void {
    this.add(ENDED + endReasons.indexOf(reason), 1);
  }

  /** This thread's counts of messages, for sessions to add to: devices' by packet type, and from 16 on nodes'. */
  get messages(): Float64Array {
    const from = this.thread * DOUBLES_PER_THREAD + MESSAGES;
    return this.table.doubles.subarray(from, from + 2 * PACKET_TYPES);
  }

  observeDial(seconds: number): void {
    let bucket = 0;
    while (bucket < dialBuckets.length && seconds > (dialBuckets[bucket] ?? 0)) bucket++;
    this.add(DIALS + bucket, 1);
    this.add(DIAL_SUM, seconds);
  }

  private add(index: number, by: number): void {
    const at = this.thread * DOUBLES_PER_THREAD + index;
    this.table.doubles[at] = (this.table.doubles[at] ?? 0) + by;
  }
}

function untilZero(text: Buffer, start: number, end: number): string {
  const zero = text.indexOf(0, start);
  return text.toString('utf8', start, zero < 0 || zero > end ? end : zero);
}
