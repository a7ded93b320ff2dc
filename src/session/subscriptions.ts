import { uint16, uint32 } from '../mqtt/field.ts';
import { copyOf, put, putField } from './encode.ts';
import { matches } from './topic-filter.ts';

/** A subscription as a node granted it. */
export interface Subscription {
  readonly filter: Uint8Array;
  /** Subscription options (3.8.3.1) with the QoS that was granted; in 3.1 and 3.1.1 the QoS alone. */
  readonly options: number;
  /** Subscription Identifier; 0 is none. */
  readonly identifier: number;
}

/** Options (1 byte), replayed on this link (1), identifier (4), length of the filter (2); then the filter. */
const HEADER = 8;

/**
 * What the device is subscribed to. Most devices have few subscriptions, there are very many devices, and changes are
 * rare: so it is packed into one string of bytes, which takes a quarter of the memory of a small typed array, and
 * unpacked for every look.
 */
export class Subscriptions {
  private packed = '';
  count = 0;

  get bytes(): number {
    return this.packed.length;
  }

  /** Adds, or replaces the one with the same filter [MQTT-3.8.4-3]. */
  set({ filter, options, identifier }: Subscription): void {
    this.delete(filter);
    const entry = Buffer.alloc(HEADER + filter.length);
    entry[0] = options;
    entry.writeUInt32BE(identifier, 2);
    putField(entry, HEADER - 2, filter);
    this.pack(Buffer.concat([this.unpack(), entry]));
    this.count++;
  }

  delete(filter: Uint8Array): void {
    const log = this.unpack();
    for (let at = 0; at < log.length; at = entryEnd(log, at)) {
      const end = entryEnd(log, at);
      if (log.compare(filter, 0, filter.length, at + HEADER, end) !== 0) continue;
      const kept = Buffer.alloc(log.length - (end - at));
      put(kept, put(kept, 0, log, 0, at), log, end, log.length);
      this.pack(kept);
      this.count--;
      return;
    }
  }

  *[Symbol.iterator](): IterableIterator<Subscription> {
    const log = this.unpack();
    for (let at = 0; at < log.length; at = entryEnd(log, at)) {
      const filter = copyOf(log, at + HEADER, entryEnd(log, at));
      yield { filter, options: log[at] as number, identifier: uint32(log, at + 2) };
    }
  }

  /** Marks all of them: the proxy itself asked for them on the link that is up, or the node had them. */
  markReplayed(replayed: boolean): void {
    const log = this.unpack();
    for (let at = 0; at < log.length; at = entryEnd(log, at)) log[at + 1] = replayed ? 1 : 0;
    this.pack(log);
  }

  /** Did the device itself ask on this link for messages of the topic in [start, end)? */
  asked(bytes: Uint8Array, start: number, end: number): boolean {
    const log = this.unpack();
    for (let at = 0; at < log.length; at = entryEnd(log, at)) {
      const filter = log.subarray(at + HEADER, entryEnd(log, at));
      if (log[at + 1] === 0 && matches(filter, bytes, start, end)) return true;
    }
    return false;
  }

  private unpack(): Buffer {
    return Buffer.from(this.packed, 'latin1');
  }

  private pack(log: Buffer): void {
    this.packed = log.toString('latin1');
  }
}

function entryEnd(log: Uint8Array, at: number): number {
  return at + HEADER + uint16(log, at + 6);
}
