import { uint16, uint32 } from '../base/bytes.ts';
import { decodeText } from '../protocol/mqtt/field.ts';
import { putField } from './encode.ts';
import type { HandedSubscriptions } from './handed.ts';

/** A subscription as a node granted it. */
export interface Subscription {
  readonly filter: Uint8Array;
  /** Subscription options (3.8.3.1) with the QoS that was granted; in 3.1 and 3.1.1 the QoS alone. */
  readonly options: number;
  /** Subscription Identifier; 0 is none. */
  readonly identifier: number;
}

/** Bytes that a subscription takes besides its filter, where there are many. */
const ENTRY_BYTES = 80;
/** Of a packed entry: options (1 byte), identifier (4), length of the filter (2); then the filter. */
const HEADER = 7;
/** Up to so many bytes are packed, and are unpacked as quickly as they would be hashed. */
const MOST_PACKED_BYTES = 512;
/** A Subscription Identifier is a variable byte integer (clause 3.8.2.1.2). */
const MOST_IDENTIFIER = 268_435_455;
/** Options are the lowest byte of what the map holds, the identifier is all above it. */
const OPTIONS = 0x100;

/**
 * What the device is subscribed to. Most devices have few subscriptions, there are very many devices, and changes are
 * rare: so a few are packed into one string of bytes, which takes a quarter of the memory of a small typed array, and
 * unpacked for every look. Many are in a map by their filters, so that a change costs the same however many there are.
 */
export class Subscriptions {
  private packed = '';
  private map: Map<string, number> | undefined;
  private filterBytes = 0;
  count = 0;

  /** Bytes that they may take at most. */
  get bytes(): number {
    return this.filterBytes + this.count * ENTRY_BYTES;
  }

  /** Adds, or replaces the one with the same filter [MQTT-3.8.4-3]. */
  set(subscription: Subscription): void {
    this.delete(subscription.filter);
    const { filter, options, identifier } = subscription;
    this.count++;
    this.filterBytes += filter.length;
    if (this.packed.length + HEADER + filter.length > MOST_PACKED_BYTES) this.hash();
    if (this.map === undefined) this.pack(this.unpack(), packedEntry(subscription));
    else this.map.set(textOf(filter), identifier * OPTIONS + options);
  }

  /** Moves them into a map: there are many of them, or many changes come. */
  hash(): void {
    this.map ??= new Map(entriesOf(this.unpack()));
    this.packed = '';
  }

  delete(filter: Uint8Array): void {
    if (this.map === undefined ? this.deletePacked(filter) : this.map.delete(textOf(filter))) {
      this.count--;
      this.filterBytes -= filter.length;
    }
  }

  private deletePacked(filter: Uint8Array): boolean {
    const log = this.unpack();
    for (let at = 0, end = 0; at < log.length; at = end) {
      end = entryEnd(log, at);
      if (log.compare(filter, 0, filter.length, at + HEADER, end) !== 0) continue;
      this.pack(log.subarray(0, at), log.subarray(end));
      return true;
    }
    return false;
  }

  private pack(...parts: Uint8Array[]): void {
    this.packed = Buffer.concat(parts).toString('latin1');
  }

  /** In the order in which they were made. */
  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (const [text, value] of this.map ?? entriesOf(this.unpack())) {
      yield {
        filter: Uint8Array.from(Buffer.from(text, 'latin1')),
        options: value % OPTIONS,
        identifier: Math.floor(value / OPTIONS),
      };
    }
  }

  /** For another process. */
  describe(): HandedSubscriptions {
    return [...this];
  }

  static revive(handed: HandedSubscriptions): Subscriptions {
    const subscriptions = new Subscriptions();
    for (const subscription of handed) subscriptions.set(subscription);
    return subscriptions;
  }

  /** All of them in base64, as `readSubscriptions` takes it: one packed entry after another. */
  get text(): string {
    const log = this.map === undefined ? this.unpack() : Buffer.concat(Array.from(this, packedEntry));
    return log.toString('base64');
  }

  private unpack(): Buffer {
    return Buffer.from(this.packed, 'latin1');
  }
}

/** QoS 3 does not exist, nor does Retain Handling 3; the upper two bits are reserved (MQTT 5.0 clause 3.8.3.1). */
function areOptions(byte: number): boolean {
  return byte < 0x40 && (byte & 0x03) < 3 && (byte & 0x30) < 0x30;
}

/** What `Subscriptions.text` gave; undefined for whatever it cannot have given. */
export function readSubscriptions(text: string): Subscriptions | undefined {
  const log = Buffer.from(text, 'base64');
  const subscriptions = new Subscriptions();
  for (let at = 0, end = 0; at < log.length; at = end) {
    if (at + HEADER > log.length) return undefined;
    end = entryEnd(log, at);
    const filterAt = at + HEADER;
    const [options, identifier] = [log[at] as number, uint32(log, at + 1)];
    if (end > log.length || end === filterAt || decodeText(log, filterAt, end) === undefined)
      return undefined;
    if (!areOptions(options) || identifier > MOST_IDENTIFIER) return undefined;
    subscriptions.set({ filter: log.subarray(filterAt, end), options, identifier });
  }
  return subscriptions;
}

function packedEntry({ filter, options, identifier }: Subscription): Uint8Array {
  const entry = Buffer.alloc(HEADER + filter.length);
  entry[0] = options;
  entry.writeUInt32BE(identifier, 1);
  putField(entry, HEADER - 2, filter);
  return entry;
}

/** Each byte is one character. */
function textOf(filter: Uint8Array): string {
  return Buffer.from(filter.buffer, filter.byteOffset, filter.length).toString('latin1');
}

function* entriesOf(log: Buffer): IterableIterator<[string, number]> {
  for (let at = 0, end = 0; at < log.length; at = end) {
    end = entryEnd(log, at);
    yield [log.toString('latin1', at + HEADER, end), uint32(log, at + 1) * OPTIONS + (log[at] as number)];
  }
}

function entryEnd(log: Uint8Array, at: number): number {
  return at + HEADER + uint16(log, at + HEADER - 2);
}
