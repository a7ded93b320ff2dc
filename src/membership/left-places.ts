/** Where devices were served that have left, for when the store does not say. */

import type { Clock } from '../base/time.ts';
import type { Claimant } from './claim.ts';

/** Some 150 bytes each; beyond it the one that left first is forgotten. */
const PLACES_MAX = 100_000;

interface Place {
  readonly node: string;
  /** When the broker accepted the connection. */
  readonly sinceMs: number;
  readonly endsAtMs: number;
}

/** Of this proxy only, and no longer than the store would keep them. */
export class LeftPlaces {
  private readonly clock: Clock;
  private readonly places = new Map<string, Place>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(key: string, { node, sinceMs, ttlMs }: Pick<Claimant, 'node' | 'sinceMs' | 'ttlMs'>): void {
    this.places.delete(key);
    this.places.set(key, { node, sinceMs, endsAtMs: this.clock.now() + ttlMs });
    if (this.places.size <= PLACES_MAX) return;
    const [oldest = ''] = this.places.keys();
    this.places.delete(oldest);
  }

  delete(key: string): void {
    this.places.delete(key);
  }

  get(key: string): Place | undefined {
    const place = this.places.get(key);
    return place !== undefined && this.clock.now() < place.endsAtMs ? place : undefined;
  }
}
