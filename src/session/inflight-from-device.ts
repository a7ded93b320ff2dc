import { packetType } from './encode.ts';
import type { HandedInflightFromDevice } from './handed.ts';
import { IdIndex } from './id-index.ts';
import { DUP } from './publish.ts';
import { Slots } from './slots.ts';
import { type Stage, stage } from './stages.ts';

/**
 * The kind of exchange that a packet id belongs to. The answer shows the kind, so one id may stand for one exchange
 * of each.
 */
export const exchange = { publish: 0, subscribe: 1, unsubscribe: 2 } as const;

export type Exchange = (typeof exchange)[keyof typeof exchange];

/** Bytes that an entry takes besides its packet: its slot, and its part of the index. */
export const ENTRY_BYTES = 28;

/** Words of an entry: packet id, kind << 16, whether it is suspect, stage << 24; where its packet begins; how long it is. */
const HEAD = 0;
const START = 1;
const LENGTH = 2;
const KEY = 0x3_ffff;
const SUSPECT = 0x4_0000;
const STAGE_SHIFT = 24;

/** Bytes: a SUBSCRIBE or a small PUBLISH, because very many devices may ask at the same time. */
const FIRST_CAPACITY = 128;
/** A larger log is freed when it is empty. */
const KEPT_CAPACITY = 1024;
/** With more entries than this they are found by an index, with fewer by looking. */
const LOOKED_THROUGH = 8;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * The device's exchanges that no node has finished, in their original order, each with its packet and found by its
 * packet id. The packets stand in one byte log: appended at the tail, packed together when it is full.
 *
 * It holds 65,535 entries at the most (`isFull`). Its owner bounds the bytes: it looks at `bytes` and stops taking packets.
 *
 * What always holds: the order of entries is the order in which the device sent them; a QoS 2 exchange goes from `sent` or `unkept`
 * to `received` and then to `released` or `local`, and never back; from `received` on its packet is not kept (`size` is 0); an entry
 * is suspect only while it is unanswered; entries before `nextResend` are not to be sent to the present node again.
 */
export class InflightFromDevice extends Slots {
  private log = NOTHING;
  private tail = 0;
  private packets = 0;
  private index: IdIndex | undefined;
  private isIndexed = false;
  /** The oldest that waits; -1 when it is not known. */
  private waitingFrom = -1;
  /** PUBLISHes at each of these stages. */
  private sent = 0;
  private exchangedCount = 0;
  private waitingCount = 0;
  private unkeptCount = 0;
  private localCount = 0;
  private suspectCount = 0;
  /** The oldest that a new node is still to be sent; -1: none. */
  private unsent = -1;

  /** Bytes that the live entries need. */
  get bytes(): number {
    return this.packets + this.count * ENTRY_BYTES;
  }

  /** Publishes that count against the node's Receive Maximum [MQTT-4.9.0-2]. */
  get inflight(): number {
    return this.sent + this.unkeptCount + this.exchangedCount;
  }

  /** Publishes that could not be sent again. */
  get unkept(): number {
    return this.unkeptCount;
  }

  /** Of those, QoS 2 exchanges past PUBREC. */
  get exchanged(): number {
    return this.exchangedCount;
  }

  /** Packets that were under way to a node that died, and that no node has answered since. */
  get suspects(): number {
    return this.suspectCount;
  }

  /** Exchanges that the node has been sent, and has not finished. */
  get open(): number {
    return this.count - this.waitingCount - this.localCount;
  }

  /** Publishes that wait for room. */
  get waiting(): number {
    return this.waitingCount;
  }

  /** Returns the new entry. There must be room (`isFull`). */
  append(id: number, at: Stage, bytes: Uint8Array, start: number, end: number): number {
    const kind = at === stage.asked ? kindOf(bytes[start] as number) : exchange.publish;
    const key = id | (kind << 16);
    const length = end - start;
    if (this.tail + length > this.log.length) this.makeRoom(length);
    this.log.set(bytes.subarray(start, end), this.tail);
    const slot = this.place(key | (at << STAGE_SHIFT), this.tail, length);
    this.tail += length;
    this.packets += length;
    this.tally(at, 1);
    if (at === stage.waiting && this.waitingCount === 1) this.waitingFrom = slot;
    if (this.isIndexed) this.index?.add(key, slot);
    return slot;
  }

  /** The oldest exchange of this kind with this packet id, or -1. */
  find(id: number, kind: Exchange = exchange.publish): number {
    const key = id | (kind << 16);
    const first = this.first();
    // Acknowledgements come mostly in order.
    if (first < 0 || this.key(first) === key) return first;
    if (!this.isIndexed && this.count > LOOKED_THROUGH) this.makeIndex();
    if (this.isIndexed) return this.index?.find(key) || -1;
    for (let at = this.next(first); at >= 0; at = this.next(at)) if (this.key(at) === key) return at;
    return -1;
  }

  /** Does an exchange of any kind have this packet id? */
  uses(id: number): boolean {
    const { publish, subscribe, unsubscribe } = exchange;
    return this.find(id, publish) >= 0 || this.find(id, subscribe) >= 0 || this.find(id, unsubscribe) >= 0;
  }

  id(at: number): number {
    return this.word(at, HEAD) & 0xffff;
  }

  stage(at: number): Stage {
    return (this.word(at, HEAD) >>> STAGE_SHIFT) as Stage;
  }

  setStage(at: number, to: Stage): void {
    this.tally(this.stage(at), -1);
    this.tally(to, 1);
    if (at === this.waitingFrom || to === stage.waiting) this.waitingFrom = -1;
    const suspicion = to < stage.received ? this.word(at, HEAD) & SUSPECT : this.acquit(at);
    this.setWord(at, HEAD, this.key(at) | suspicion | (to << STAGE_SHIFT));
    if (to < stage.received) return;
    this.packets -= this.word(at, LENGTH);
    this.setWord(at, LENGTH, 0);
  }

  /** The oldest publish that waits for room, or -1. */
  firstWaiting(): number {
    if (this.waitingCount === 0) return -1;
    if (this.waitingFrom < 0) this.waitingFrom = this.waitingBehind(0);
    return this.waitingFrom;
  }

  /** What `firstWaiting` gave has been sent. */
  sentWaiting(at: number): void {
    this.setStage(at, stage.sent);
    if (this.waitingCount > 0) this.waitingFrom = this.waitingBehind(at);
  }

  private waitingBehind(before: number): number {
    let at = this.next(before);
    while (at >= 0 && this.stage(at) !== stage.waiting) at = this.next(at);
    return at;
  }

  /** Marks the packet, a PUBLISH, as one that is sent again [MQTT-3.3.1-1]. */
  markDuplicate(at: number): void {
    const start = this.word(at, START);
    this.log[start] = (this.log[start] as number) | DUP;
  }

  /** Every entry is to be sent again, to another node. */
  beginResend(): void {
    this.unsent = this.first();
  }

  endResend(): void {
    this.unsent = -1;
  }

  /** The oldest that is still to be sent again; -1 where none is. */
  get nextResend(): number {
    return this.unsent;
  }

  /** What `nextResend` gave has been sent, or needs not be. */
  resent(at: number): void {
    this.unsent = this.next(at);
  }

  suspect(at: number): void {
    this.setWord(at, HEAD, this.word(at, HEAD) | SUSPECT);
    this.suspectCount++;
  }

  isSuspect(at: number): boolean {
    return (this.word(at, HEAD) & SUSPECT) !== 0;
  }

  /** It was answered. Returns 0. */
  private acquit(at: number): 0 {
    if (this.isSuspect(at)) this.suspectCount--;
    return 0;
  }

  /** First byte of the packet. */
  header(at: number): number {
    return this.log[this.word(at, START)] as number;
  }

  /** Bytes of the packet. */
  size(at: number): number {
    return this.word(at, LENGTH);
  }

  /** A copy of the packet. */
  packet(at: number): Uint8Array {
    const start = this.word(at, START);
    return this.log.slice(start, start + this.word(at, LENGTH));
  }

  remove(at: number): void {
    if (this.count === 1) return this.wipe();
    this.tally(this.stage(at), -1);
    this.acquit(at);
    if (at === this.waitingFrom) this.waitingFrom = -1;
    if (at === this.unsent) this.unsent = this.next(at);
    if (this.isIndexed) this.index?.remove(this.key(at), at);
    this.packets -= this.word(at, LENGTH);
    this.drop(at);
  }

  /** For another process. */
  describe(): HandedInflightFromDevice {
    const entries: HandedInflightFromDevice['entries'] = [];
    let unsent = -1;
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      if (at === this.unsent) unsent = entries.length;
      const [id, isSuspect] = [this.id(at), this.isSuspect(at)];
      entries.push({ id, stage: this.stage(at), isSuspect, packet: this.packet(at) });
    }
    return { entries, unsent };
  }

  /** Fills an empty table with what another process had. */
  revive({ entries, unsent }: HandedInflightFromDevice): this {
    for (const [index, { id, stage: at, isSuspect, packet }] of entries.entries()) {
      const slot = this.append(id, at, packet, 0, packet.length);
      if (isSuspect) this.suspect(slot);
      if (index === unsent) this.unsent = slot;
    }
    return this;
  }

  /** Overwrites all that was kept. */
  wipe(): void {
    this.log.fill(0, 0, this.tail);
    this.tail = 0;
    this.packets = 0;
    this.sent = 0;
    this.exchangedCount = 0;
    this.waitingCount = 0;
    this.unkeptCount = 0;
    this.localCount = 0;
    this.suspectCount = 0;
    this.waitingFrom = -1;
    this.unsent = -1;
    if (this.isIndexed) this.index?.clear();
    this.isIndexed = false;
    this.forgetAll();
  }

  /** Makes it ready for the next session. */
  clear(): void {
    this.wipe();
    if (this.log.length > KEPT_CAPACITY) this.log = NOTHING;
  }

  private key(at: number): number {
    return this.word(at, HEAD) & KEY;
  }

  private tally(at: Stage, by: 1 | -1): void {
    if (at === stage.sent) this.sent += by;
    else if (at === stage.waiting) this.waitingCount += by;
    else if (at === stage.unkept) this.unkeptCount += by;
    else if (at === stage.local) this.localCount += by;
    else if (at === stage.received || at === stage.released) this.exchangedCount += by;
  }

  private makeIndex(): void {
    this.index ??= new IdIndex();
    this.isIndexed = true;
    for (let at = this.first(); at >= 0; at = this.next(at)) this.index.add(this.key(at), at);
  }

  /** Packs the packets together, in a log that leaves as much again free. */
  private makeRoom(length: number): void {
    const wanted = (this.packets + length) * 2;
    let capacity = FIRST_CAPACITY;
    while (capacity < wanted) capacity *= 2;
    const to = this.log.length >= capacity ? this.log : new Uint8Array(capacity);
    let tail = 0;
    for (let at = this.first(); at >= 0; at = this.next(at)) {
      const start = this.word(at, START);
      const size = this.word(at, LENGTH);
      to.set(this.log.subarray(start, start + size), tail);
      this.setWord(at, START, tail);
      tail += size;
    }
    this.log.fill(0, to === this.log ? tail : 0, this.tail);
    this.log = to;
    this.tail = tail;
  }
}

function kindOf(header: number): Exchange {
  return header >> 4 === packetType.subscribe ? exchange.subscribe : exchange.unsubscribe;
}
