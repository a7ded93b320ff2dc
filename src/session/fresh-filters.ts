import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { copyOf } from './encode.ts';
import type { HandedFreshFilters } from './handed.ts';
import { filtersOf } from './subscribe.ts';
import { matches } from './topic-filter.ts';

/** At most so many filters are compared with each topic. */
const MOST = 32;

/**
 * Topic filters that the device itself has asked for since its session moved. With more than a few of them every topic
 * counts as asked for: a retained message that comes twice does less harm than one that is missing.
 */
export class FreshFilters {
  private filters: Uint8Array[] = [];
  private isFull = false;

  /** Takes those of a whole SUBSCRIBE. */
  add(packet: Uint8Array, version: ProtocolVersion): void {
    for (const { filter } of filtersOf(packet, version)) {
      this.isFull ||= this.filters.length === MOST;
      if (this.isFull) return;
      this.filters.push(copyOf(filter, 0, filter.length));
    }
  }

  /** For another process. */
  describe(): HandedFreshFilters {
    return { filters: [...this.filters], isFull: this.isFull };
  }

  static revive({ filters, isFull }: HandedFreshFilters): FreshFilters {
    const fresh = new FreshFilters();
    fresh.filters = filters;
    fresh.isFull = isFull;
    return fresh;
  }

  /** Is the topic in [start, end) asked for? */
  matches(bytes: Uint8Array, start: number, end: number): boolean {
    return this.isFull || this.filters.some((filter) => matches(filter, bytes, start, end));
  }
}
