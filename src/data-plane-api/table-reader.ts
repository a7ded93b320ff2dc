import { type EndReason, endReasons } from '../connection/connection-host.ts';
import { MAX_NODES } from '../nodes/node.ts';
import {
  ACCEPTED,
  ADDRESS_BYTES,
  BUSY,
  CONNECTS,
  DEVICES,
  DIALS,
  DOUBLES_PER_THREAD,
  durationBuckets,
  ENABLED,
  ENDED,
  GENERATION,
  ID_BYTES,
  MAX_LISTENERS,
  MESSAGES,
  NO_POOL,
  NUMBER,
  PACKET_TYPES,
  REJECTED,
  rejectReasons,
  SLOTS,
  type Slot,
  type Table,
  TEXT_BYTES,
  type ThreadCounter,
  threadCounters,
  USABLE,
  USED,
} from './routing-table.ts';

/** Before the first copy. */
const NONE = -1;
/** A caller that needs what is being written waits for it, a second at most: control writes for microseconds. */
const MAX_LOOKS = 1_000;
const LOOK_MS = 1;

/**
 * A data thread's side: reads slots, counts connections. Numbers that other threads write are read as they lie there,
 * which a 32-bit element always allows; only what must be in order is atomic.
 */
export class TableReader {
  private readonly table: Table;
  private readonly thread: number;
  private seen = NONE;

  constructor(table: Table, thread: number) {
    this.table = table;
    this.thread = thread;
  }

  /**
   * The slots, if they changed since the last call; otherwise undefined. While control writes that is undefined, too,
   * unless there is no earlier copy, or `patiently`: then they are read again until they are whole.
   */
  changed(patiently = false): Slot[] | undefined {
    const { header } = this.table;
    const looks = patiently || this.seen === NONE ? MAX_LOOKS : 1;
    for (let look = 1; look <= looks; look++) {
      const generation = Atomics.load(header, GENERATION);
      if (generation === this.seen) return undefined;
      const slots = this.read(generation);
      if (slots !== undefined) return slots;
      if (look < looks) Atomics.wait(header, GENERATION, generation, LOOK_MS); // not where it is another by now
    }
    return undefined;
  }

  /** Undefined where control is writing, or has begun to meanwhile. */
  private read(generation: number): Slot[] | undefined {
    if ((generation & 1) === 1) return undefined;
    const { header } = this.table;
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
    const { flags, weight, maxConnections, connectRate, pool, formerPool, port, text } = this.table;
    const at = slot * TEXT_BYTES;
    const flag = flags[slot] ?? 0;
    const hosts = untilZero(text, at + ID_BYTES, at + ID_BYTES + ADDRESS_BYTES);
    const [host = '', ...otherHosts] = hosts.split(',');
    return {
      slot,
      id: untilZero(text, at, at + ID_BYTES),
      host,
      ...(otherHosts.length > 0 && { otherHosts }),
      serverName: untilZero(text, at + ID_BYTES + ADDRESS_BYTES, at + TEXT_BYTES),
      port: port[slot] ?? 0,
      pool: pool[slot] ?? 0,
      formerPool: formerPool[slot] === NO_POOL ? undefined : formerPool[slot],
      weight: weight[slot] ?? 0,
      maxConnections: maxConnections[slot] ?? 0,
      connectRate: connectRate[slot] ?? 0,
      enabled: (flag & ENABLED) !== 0,
      usable: (flag & USABLE) !== 0,
      busy: (flag & BUSY) !== 0,
    };
  }

  /** Live connections at a slot, over all threads and all proxies. */
  connections(slot: number): number {
    return (this.table.live[slot] ?? 0) + (this.table.remote[slot] ?? 0);
  }

  /**
   * What control has found against the node of a slot. A slot where a connection is counted belongs to no other
   * node.
   */
  faultOf(slot: number): 'removed' | 'leaving' | 'unhealthy' | undefined {
    const flags = this.table.flags[slot] ?? 0;
    if ((flags & USED) === 0) return 'removed';
    if ((flags & ENABLED) === 0) return 'leaving';
    return (flags & USABLE) === 0 ? 'unhealthy' : undefined;
  }

  /** Ids of the nodes that control holds to be unhealthy. */
  unhealthy(): string[] {
    const { header, flags, text } = this.table;
    const ids: string[] = [];
    for (let slot = 0; slot < (header[SLOTS] ?? 0); slot++) {
      if (((flags[slot] ?? 0) & (USED | USABLE)) !== USED) continue;
      ids.push(untilZero(text, slot * TEXT_BYTES, slot * TEXT_BYTES + ID_BYTES));
    }
    return ids;
  }

  liveAt(slot: number): number {
    return this.table.live[slot] ?? 0;
  }

  /** New devices a second at a slot, by all threads; 0: no limit. */
  connectRate(slot: number): number {
    return this.table.connectRate[slot] ?? 0;
  }

  /**
   * Counts a connection at a slot; false when there are as many as may be. Counted first and looked at then, so that
   * two threads cannot both take the last place.
   */
  takeConnection(listener: number, slot: number): boolean {
    const { live, connects, remote, maxConnections } = this.table;
    const before = Atomics.add(live, slot, 1);
    const most = maxConnections[slot] ?? 0;
    if (most > 0 && before + (remote[slot] ?? 0) >= most) {
      Atomics.sub(live, slot, 1);
      return false;
    }
    Atomics.add(connects, slot, 1);
    this.countOwn(listener, slot, 1);
    return true;
  }

  /** Counts one that is there already, however many there may be. */
  takeServed(listener: number, slot: number): void {
    Atomics.add(this.table.live, slot, 1);
    this.countOwn(listener, slot, 1);
  }

  releaseConnection(listener: number, slot: number): void {
    Atomics.sub(this.table.live, slot, 1);
    this.countOwn(listener, slot, -1);
  }

  private countOwn(listener: number, slot: number, by: 1 | -1): void {
    const at = (this.thread * MAX_LISTENERS + listener) * MAX_NODES + slot;
    this.table.counts[at] = (this.table.counts[at] ?? 0) + by;
  }

  /** `by` is 1 or -1; returns how many devices there were before. */
  countDevice(by: number): number {
    this.count('devices', by);
    return Atomics.add(this.table.header, DEVICES, by);
  }

  /** For a connection: one that no other of this proxy has, until 2^32 have been given. */
  nextNumber(): number {
    return (Atomics.add(this.table.header, NUMBER, 1) + 1) >>> 0;
  }

  count(name: ThreadCounter, by: number): void {
    this.add(threadCounters.indexOf(name), by);
  }

  /** Bytes of a device that no node has served; those of others are counted as they come. */
  countUnserved(bytesFromDevice: number, bytesToDevice: number): void {
    this.count('bytesFromDevice', bytesFromDevice);
    this.count('bytesToDevice', bytesToDevice);
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

  /** Where this worker counts by listener and node (`traffic.ts`). */
  get traffic(): Float64Array {
    return this.table.traffic[this.thread] as Float64Array;
  }

  observeDial(seconds: number): void {
    this.observe(DIALS, seconds);
  }

  observeConnect(seconds: number): void {
    this.observe(CONNECTS, seconds);
  }

  private observe(from: number, seconds: number): void {
    let bucket = 0;
    while (bucket < durationBuckets.length && seconds > (durationBuckets[bucket] ?? 0)) bucket++;
    this.add(from + bucket, 1);
    this.add(from + durationBuckets.length + 1, seconds);
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
