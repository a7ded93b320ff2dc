import { BreakwaterError } from '../base/errors.ts';
import { shortages } from '../connection/connect-attempts.ts';
import { type EndReason, endReasons } from '../connection/connection-host.ts';
import { BEAT, PULSE_DOUBLES } from '../engine/pulse.ts';
import { MAX_NODES } from '../nodes/node.ts';
import type { NodeRoute } from '../nodes/route.ts';
import { limiterRefusalLabels } from '../policy/admission/connection-limiter.ts';
import { refusals } from '../policy/routing/rules.ts';
import { headerRefusalLabels } from '../protocol/proxy-protocol/expect.ts';
import { clearTraffic, type Traffic, trafficAt, trafficLength } from './traffic.ts';

/**
 * The routing table: the one place where the control plane and the data threads meet. A SharedArrayBuffer of node
 * slots; control writes them, data threads read them and count in them.
 *
 * - The generation is a seqlock: odd while control writes. A reader that sees it changed decodes the slots anew,
 *   and keeps its last good copy when a write came between.
 * - `live` is one atomic count a slot: what least-connections compares. Beside it every thread keeps its own counts
 *   by listener and slot (single writer), so that the counts of a thread that died can be given back.
 * - A slot is used again only when its node is gone and nobody is counted at it any more.
 *
 * What always holds: `live` of a slot is the sum of all threads' `counts` of it, but for the moment in which a thread changes both; a
 * thread writes its own `counts` and doubles and no other's; a slot is read whole or not at all; a connection's number is given once.
 */
/** As many as a configuration may hold, and as many again whose devices are still leaving behind a reload. */
export const MAX_LISTENERS = 128;
export const ID_BYTES = 64;
/** Addresses that are dialled of one node; a name may have more. */
const MAX_ADDRESSES = 8;
export const ADDRESS_BYTES = MAX_ADDRESSES * 46; // 45 at most for IPv6, and what stands between two
export const TEXT_BYTES = ID_BYTES + ADDRESS_BYTES + 256; // and a host name (253)

export const NO_POOL = -1;
export const USED = 1;
export const ENABLED = 2;
export const USABLE = 4;
export const BUSY = 8;

export interface Slot extends NodeRoute {
  readonly slot: number;
}

/** Counters of one thread, in the order they lie in shared memory; `devices` is the one that also goes down. */
export const threadCounters = [
  'devices',
  'bytesFromDevice',
  'bytesToDevice',
  'eventsDropped',
  'connectsHeldBack',
  'connectsQueued',
] as const;
export type ThreadCounter = (typeof threadCounters)[number];

/** Why a device is turned away: the `reason` label of `connect_rejected_total`. */
export const rejectReasons = [
  'not-mqtt',
  'not-tls',
  'too-large',
  'malformed',
  'protocol-version',
  'connect-timeout',
  'pending-bytes',
  'no-node',
  ...shortages,
  ...refusals,
  'max-connections',
  'tls-failed',
  'tls-busy',
  'websocket-refused',
  'node-refused',
  'node-closed',
  ...limiterRefusalLabels,
  ...headerRefusalLabels,
] as const;

/** MQTT has so many packet types; messages are counted by type, those of devices first and then those of nodes. */
export const PACKET_TYPES = 16;

/** Upper bounds of the histograms of dials and of CONNECTs, in seconds; the last bucket is +Inf. */
export const durationBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

const HEADER_INTS = 4; // generation, slots in use, live devices, the last connection's number

/** Where each group of a thread's doubles begins. */
export const REJECTED = threadCounters.length;
export const DIALS = REJECTED + rejectReasons.length;
/** A histogram: its buckets, and the sum of what was observed. */
const HISTOGRAM_DOUBLES = durationBuckets.length + 2;
export const CONNECTS = DIALS + HISTOGRAM_DOUBLES;
export const ACCEPTED = CONNECTS + HISTOGRAM_DOUBLES;
export const ENDED = ACCEPTED + MAX_LISTENERS;
export const MESSAGES = ENDED + endReasons.length;
export const PULSE = MESSAGES + 2 * PACKET_TYPES;
export const DOUBLES_PER_THREAD = PULSE + PULSE_DOUBLES;

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
  const formerPool = ints(MAX_NODES);
  const port = ints(MAX_NODES);
  const live = ints(MAX_NODES);
  const connects = ints(MAX_NODES);
  const remote = ints(MAX_NODES);
  const maxConnections = ints(MAX_NODES);
  const connectRate = ints(MAX_NODES);
  const counts = ints(threads * MAX_LISTENERS * MAX_NODES);
  const doubles = new Float64Array(memory, offset, threads * DOUBLES_PER_THREAD);
  offset += doubles.byteLength;
  const ofWorker = trafficLength(MAX_LISTENERS);
  const traffic = Array.from({ length: threads }, (_, thread) => {
    return new Float64Array(memory, offset + thread * ofWorker * 8, ofWorker);
  });
  offset += threads * ofWorker * 8;
  const text = Buffer.from(memory, offset, MAX_NODES * TEXT_BYTES);
  const perNode = {
    flags,
    weight,
    pool,
    formerPool,
    port,
    live,
    connects,
    remote,
    maxConnections,
    connectRate,
  };
  return { header, ...perNode, counts, doubles, traffic, text, threads };
}

export type Table = ReturnType<typeof openTable>;

export function createTableMemory(threads: number): SharedArrayBuffer {
  const ints = HEADER_INTS + MAX_NODES * 10 + threads * MAX_LISTENERS * MAX_NODES;
  const doubles = threads * (DOUBLES_PER_THREAD + trafficLength(MAX_LISTENERS));
  return new SharedArrayBuffer(ints * 4 + doubles * 8 + MAX_NODES * TEXT_BYTES);
}

export const GENERATION = 0;
export const SLOTS = 1;
export const DEVICES = 2;
export const NUMBER = 3;
/** Connections that a process may still be given between its last word of their number and the new process. */
const NUMBERS_MEANWHILE = 1 << 20;

/** The signs of life of one thread (`engine/pulse.ts`). */
export function pulseOf({ doubles }: Pick<Table, 'doubles'>, thread: number): Float64Array {
  const start = thread * DOUBLES_PER_THREAD + PULSE;
  return doubles.subarray(start, start + PULSE_DOUBLES);
}

function hostsText({ host, otherHosts = [] }: NodeRoute): string {
  return [host, ...otherHosts].slice(0, MAX_ADDRESSES).join(',');
}

/** Control's side: one writer. */
export class TableWriter {
  private readonly table: Table;
  private readonly slotOf = new Map<string, number>();
  /** Slots of nodes that were removed while connections were counted there. */
  private readonly departed = new Map<string, number>();

  constructor(table: Table) {
    this.table = table;
  }

  /** The number that a connection was given last. */
  get lastNumber(): number {
    return (this.table.header[NUMBER] ?? 0) >>> 0;
  }

  /** Connections are numbered on behind this one: those up to it, and some that come meanwhile, are of another process. */
  numberBehind(last: number): void {
    this.table.header[NUMBER] = last + NUMBERS_MEANWHILE;
  }

  /** Adds or changes a node. @throws BreakwaterError TABLE_FULL beyond 1,024 nodes, those still in use included */
  put(state: NodeRoute): void {
    const slot = this.slotOf.get(state.id) ?? this.departed.get(state.id) ?? this.freeSlot();
    this.departed.delete(state.id);
    this.slotOf.set(state.id, slot);
    const { table } = this;
    this.write(() => {
      table.flags[slot] =
        USED |
        (state.enabled && state.host !== '' ? ENABLED : 0) |
        (state.usable ? USABLE : 0) |
        (state.busy ? BUSY : 0);
      table.weight[slot] = state.weight;
      table.pool[slot] = state.pool;
      table.formerPool[slot] = state.formerPool ?? NO_POOL;
      table.port[slot] = state.port;
      table.maxConnections[slot] = state.maxConnections;
      table.connectRate[slot] = state.connectRate;
      const text = slot * TEXT_BYTES;
      table.text.fill(0, text, text + TEXT_BYTES);
      table.text.write(state.id, text, ID_BYTES);
      table.text.write(hostsText(state), text + ID_BYTES, ADDRESS_BYTES);
      table.text.write(state.serverName, text + ID_BYTES + ADDRESS_BYTES);
    });
  }

  /** The node takes no new device; devices that are there stay until they leave. */
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
    const { flags, live, connects, remote, header } = this.table;
    for (const [id, slot] of this.departed) {
      if (Atomics.load(live, slot) <= 0) this.departed.delete(id);
    }
    for (let slot = 0; slot < MAX_NODES; slot++) {
      if (flags[slot] !== 0 || Atomics.load(live, slot) > 0) continue;
      remote[slot] = 0;
      connects[slot] = 0;
      for (let listener = 0; listener < MAX_LISTENERS; listener++)
        clearTraffic(this.table.traffic, listener, slot);
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

  /** Where a node is; undefined: it is not there. */
  slotAt(id: string): number | undefined {
    return this.slotOf.get(id);
  }

  /** Live connections of this proxy at a node, also at one that was removed. */
  liveAt(id: string): number {
    const slot = this.slotOf.get(id) ?? this.departed.get(id);
    return slot === undefined ? 0 : Atomics.load(this.table.live, slot);
  }

  /** Live connections of this proxy by node id; nodes without any are left out. */
  liveByNode(): [node: string, count: number][] {
    const counts = [...this.slotOf.keys()].map((id): [string, number] => [id, this.liveAt(id)]);
    return counts.filter(([, count]) => count > 0);
  }

  /** Live connections at a node, of all proxies. */
  connectionsAt(id: string): number {
    const slot = this.slotOf.get(id);
    return slot === undefined ? 0 : this.liveAt(id) + Atomics.load(this.table.remote, slot);
  }

  /** Links that this proxy has opened at a node, modulo 2^32. */
  connectsAt(id: string): number {
    const slot = this.slotOf.get(id);
    return slot === undefined ? 0 : (this.table.connects[slot] ?? 0) >>> 0;
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

  /** What devices of a listener have sent and received while this node served them. */
  trafficAt(id: string, listener: number): Traffic | undefined {
    const slot = this.slotOf.get(id);
    return slot === undefined ? undefined : trafficAt(this.table.traffic, listener, slot);
  }

  /** A listener's index is another's from now on. */
  clearTraffic(listener: number): void {
    for (let slot = 0; slot < MAX_NODES; slot++) clearTraffic(this.table.traffic, listener, slot);
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

  /** From the dial of a node to its CONNACK, in seconds: counts by bucket (the last is +Inf) and their sum. */
  dials() {
    return this.histogram(DIALS);
  }

  /** The same from the CONNECT of a device to its CONNACK. */
  connects() {
    return this.histogram(CONNECTS);
  }

  private histogram(from: number) {
    const counts = Array.from({ length: durationBuckets.length + 1 }, (_, bucket) => this.sum(from + bucket));
    return { bounds: durationBuckets, counts, sum: this.sum(from + counts.length) };
  }

  /** The signs of life of each thread. */
  pulses(): readonly Float64Array[] {
    return Array.from({ length: this.table.threads }, (_, thread) => pulseOf(this.table, thread));
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

  /**
   * A worker has died. What it had counted is given back with the last call of what this returns, and until then as many parts of it
   * as are told: of devices that wait for another worker, which counts them anew. Its totals stay: a counter never goes back.
   */
  releaseThread(thread: number): (part: number) => void {
    const { counts, live, header, doubles } = this.table;
    pulseOf(this.table, thread)[BEAT] = 0;
    const giveBack: ((part: number) => void)[] = [];
    const base = thread * MAX_LISTENERS * MAX_NODES;
    for (let i = 0; i < MAX_LISTENERS * MAX_NODES; i++) {
      const count = counts[base + i] ?? 0;
      if (count === 0) continue;
      giveBack.push(inParts(live, i % MAX_NODES, count));
      counts[base + i] = 0;
    }
    const devices = thread * DOUBLES_PER_THREAD + threadCounters.indexOf('devices');
    giveBack.push(inParts(header, DEVICES, doubles[devices] ?? 0));
    doubles[devices] = 0;
    return (part) => {
      for (const each of giveBack) each(part);
    };
  }
}

/** Takes `count` off, in parts: what is told is how much of it, from 0 to 1, has been taken off then. */
function inParts(cells: Int32Array, at: number, count: number): (part: number) => void {
  let taken = 0;
  return (part) => {
    const all = Math.floor(count * part);
    Atomics.sub(cells, at, all - taken);
    taken = all;
  };
}
