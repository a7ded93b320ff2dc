import { uint16, uint32 } from '../mqtt/field.ts';
import { matches } from './topic-filter.ts';

/** A subscription as a node granted it. */
export interface Subscription {
  readonly filter: Uint8Array;
  /** Subscription options (3.8.3.1) with the QoS that was granted; in 3.1 and 3.1.1 the QoS alone. */
  readonly options: number;
  /** Subscription Identifier; 0 is none. */
  readonly identifier: number;
}

/** Options (1 byte), replayed on this link (1), identifier (4), length (2); then the filter. */
const HEADER = 8;
const EXACT_UP_TO = 512;
const NOTHING = new Uint8Array(0);

/**
 * What the device is subscribed to, as one piece of memory, because most devices have few subscriptions and there are
 * very many devices. Every look is a walk; looks are rare.
 */
export class Subscriptions {
  private log = NOTHING;
  private length = 0;
  count = 0;

  get bytes(): number {
    return this.length;
  }

  /** Adds, or replaces the one with the same filter [MQTT-3.8.4-3]. */
  set(subscription: Subscription): void {
    this.delete(subscription.filter);
    const { filter, options, identifier } = subscription;
    const at = this.length;
    this.reserve(at + HEADER + filter.length);
    const { log } = this;
    log[at] = options;
    log[at + 1] = 0;
    log[at + 2] = identifier >>> 24;
    log[at + 3] = identifier >>> 16;
    log[at + 4] = identifier >>> 8;
    log[at + 5] = identifier;
    log[at + 6] = filter.length >> 8;
    log[at + 7] = filter.length;
    log.set(filter, at + HEADER);
    this.length = at + HEADER + filter.length;
    this.count++;
  }

  delete(filter: Uint8Array): void {
    for (let at = 0; at < this.length; at = this.end(at)) {
      if (!same(filter, this.log, at + HEADER, this.end(at))) continue;
      const end = this.end(at);
      this.log.copyWithin(at, end, this.length);
      this.length -= end - at;
      this.count--;
      return;
    }
  }

  *[Symbol.iterator](): IterableIterator<Subscription> {
    for (let at = 0; at < this.length; at = this.end(at)) {
      yield {
        filter: this.log.slice(at + HEADER, this.end(at)),
        options: this.log[at] as number,
        identifier: uint32(this.log, at + 2),
      };
    }
  }

  /** Marks all of them: the proxy itself asked for them on the link that is up, or the node had them. */
  markReplayed(replayed: boolean): void {
    for (let at = 0; at < this.length; at = this.end(at)) this.log[at + 1] = replayed ? 1 : 0;
  }

  /** Did the device itself ask on this link for messages of the topic in [start, end)? */
  asked(bytes: Uint8Array, start: number, end: number): boolean {
    for (let at = 0; at < this.length; at = this.end(at)) {
      const filter = this.log.subarray(at + HEADER, this.end(at));
      if (this.log[at + 1] === 0 && matches(filter, bytes, start, end)) return true;
    }
    return false;
  }

  private end(at: number): number {
    return at + HEADER + uint16(this.log, at + 6);
  }

  private reserve(length: number): void {
    if (length <= this.log.length) return;
    const grown = new Uint8Array(length <= EXACT_UP_TO ? length : length * 2);
    grown.set(this.log.subarray(0, this.length));
    this.log = grown;
  }
}

function same(filter: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (filter.length !== end - start) return false;
  for (let i = 0; i < filter.length; i++) if (filter[i] !== bytes[start + i]) return false;
  return true;
}
