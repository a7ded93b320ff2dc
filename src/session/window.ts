import { uint16 } from '../mqtt/field.ts';
import { DUP } from './publish.ts';

/** How far one exchange of the device's has come. */
export const stage = {
  /** Taken out; the room is not yet reclaimed. */
  free: 0,
  /** PUBLISH that a node got, unanswered. */
  sent: 1,
  /** PUBLISH that waits for room in the node's Receive Maximum. */
  waiting: 2,
  /** SUBSCRIBE or UNSUBSCRIBE, unanswered. */
  asked: 3,
  /** QoS 2: the device has its PUBREC. From here on the message itself is not needed again. */
  received: 4,
  /** QoS 2: the device has sent PUBREL. */
  released: 5,
  /** QoS 2 after PUBREC from a node whose session is gone: finished here, not at a node. */
  local: 6,
} as const;

export type Stage = (typeof stage)[keyof typeof stage];

/** Slot length (4 bytes), packet id (2), stage (1), one to spare; then the packet. */
const HEADER = 8;
/** Bytes: a SUBSCRIBE or a small PUBLISH, because very many devices may ask at the same time. */
const FIRST_CAPACITY = 128;
/** A larger log is let go once it is empty. */
const KEPT_CAPACITY = 1024;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * Packets in their original order, each found by its packet id, in one byte log: appended at the tail, reclaimed when
 * the head moves on or the log is packed together. Acknowledgements come mostly in order, so the first look finds them.
 *
 * An entry is named by its offset, which holds until the next `append`. The log bounds nothing: its owner looks at
 * `bytes` and stops taking packets.
 */
export class Window {
  private log: Uint8Array = NOTHING;
  private head = 0;
  private tail = 0;
  private live = 0;
  private entries = 0;

  get count(): number {
    return this.entries;
  }

  /** Bytes that the live entries need. */
  get bytes(): number {
    return this.live;
  }

  /** Returns the new entry. */
  append(id: number, at: Stage, bytes: Uint8Array, start: number, end: number): number {
    const slot = HEADER + end - start;
    if (this.tail + slot > this.log.length) this.makeRoom(slot);
    const { log, tail } = this;
    log[tail] = slot >>> 24;
    log[tail + 1] = slot >>> 16;
    log[tail + 2] = slot >>> 8;
    log[tail + 3] = slot;
    log[tail + 4] = id >> 8;
    log[tail + 5] = id;
    log[tail + 6] = at;
    log[tail + 7] = 0;
    log.set(bytes.subarray(start, end), tail + HEADER);
    this.tail = tail + slot;
    this.live += slot;
    this.entries++;
    return tail;
  }

  /** -1 when no exchange has this packet id. */
  find(id: number): number {
    for (let at = this.first(); at >= 0; at = this.next(at)) if (this.id(at) === id) return at;
    return -1;
  }

  /** The oldest entry, or -1. */
  first(): number {
    return this.liveFrom(this.head);
  }

  /** The entry behind this one, or -1. */
  next(at: number): number {
    return this.liveFrom(at + this.slot(at));
  }

  id(at: number): number {
    return uint16(this.log, at + 4);
  }

  stage(at: number): Stage {
    return this.log[at + 6] as Stage;
  }

  setStage(at: number, to: Stage): void {
    const before = this.needed(at);
    this.log[at + 6] = to;
    this.live += this.needed(at) - before;
  }

  /** From now on the packet, a PUBLISH, is one that comes again [MQTT-3.3.1-1]. */
  markDuplicate(at: number): void {
    this.log[at + HEADER] = (this.log[at + HEADER] as number) | DUP;
  }

  /** A copy of the packet. */
  packet(at: number): Uint8Array {
    return this.log.slice(at + HEADER, at + this.slot(at));
  }

  remove(at: number): void {
    this.setStage(at, stage.free);
    this.entries--;
    const first = this.first();
    if (first >= 0) {
      this.head = first;
      return;
    }
    this.wipe();
  }

  /** Overwrites all that was kept. */
  wipe(): void {
    this.log.fill(0, 0, this.tail);
    this.head = 0;
    this.tail = 0;
    this.live = 0;
    this.entries = 0;
  }

  /** For the next session. */
  clear(): void {
    this.wipe();
    if (this.log.length > KEPT_CAPACITY) this.log = NOTHING;
  }

  private liveFrom(from: number): number {
    let at = from;
    while (at < this.tail && this.stage(at) === stage.free) at += this.slot(at);
    return at < this.tail ? at : -1;
  }

  private slot(at: number): number {
    return uint16(this.log, at) * 0x1_0000 + uint16(this.log, at + 2);
  }

  private needed(at: number): number {
    const now = this.stage(at);
    if (now === stage.free) return 0;
    return now >= stage.received ? HEADER : this.slot(at);
  }

  /** Packs the live entries together, in a log that leaves as much again free. */
  private makeRoom(slot: number): void {
    const wanted = (this.live + slot) * 2;
    let capacity = FIRST_CAPACITY;
    while (capacity < wanted) capacity *= 2;
    const to = this.log.length >= capacity ? this.log : new Uint8Array(capacity);
    let tail = 0;
    let next = -1;
    for (let at = this.first(); at >= 0; at = next) {
      next = this.next(at);
      const length = this.needed(at);
      to.set(this.log.subarray(at, at + length), tail);
      to[tail] = length >>> 24;
      to[tail + 1] = length >>> 16;
      to[tail + 2] = length >>> 8;
      to[tail + 3] = length;
      tail += length;
    }
    this.log.fill(0, to === this.log ? tail : 0, this.tail);
    this.log = to;
    this.head = 0;
    this.tail = tail;
  }
}
