import type { Clock } from '../../base/time.ts';
import type { PlacesState } from './memory-state.ts';
import type { ClientPlace } from './store.ts';

/** Places that are remembered at most, about 200 MB; beyond that the longest untouched is forgotten. */
const CLIENTS_MAX = 1_000_000;

/** More claims than a process makes while another one starts. */
const EPOCHS_AHEAD = 10_000_000;

/** Where devices are served, by key, in the order in which they were last touched. */
export class MemoryPlaces {
  private readonly places = new Map<string, { place: ClientPlace; endsAt: number }>();
  private readonly clock: Clock;
  /** The newest epoch that was given. */
  private last = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  recall(key: string): ClientPlace | undefined {
    const entry = this.places.get(key);
    return entry && entry.endsAt > this.clock.now() ? entry.place : undefined;
  }

  /**
   * @param lost the epoch of a claim that the store has lost, and that is put back; 0 for a new claim
   * @returns the epoch of the claim
   */
  claim(key: string, place: Omit<ClientPlace, 'epoch'>, ttlMs: number, lost = 0): number {
    if (lost > 0 && (this.recall(key)?.epoch ?? 0) > lost) return lost;
    const given = lost > 0 ? lost : this.last + 1;
    this.last = Math.max(this.last, given);
    this.put(key, { ...place, epoch: given }, ttlMs);
    return given;
  }

  move(key: string, { node, proxy }: Pick<ClientPlace, 'node' | 'proxy'>): void {
    const entry = this.places.get(key);
    if (entry?.place.proxy === proxy) entry.place = { ...entry.place, node };
  }

  renew(proxy: string, key: string, ttlMs: number): void {
    const place = this.recall(key);
    if (place?.proxy === proxy) this.put(key, place, ttlMs);
  }

  /** For the process after this one. */
  describe(): PlacesState {
    const now = this.clock.now();
    const places = [...this.places].map(([key, { place, endsAt }]) => ({ key, place, msLeft: endsAt - now }));
    return { last: this.last, places };
  }

  /** Behind the former epochs there is room for those that the process before gives meanwhile. */
  restore({ last, places }: PlacesState): void {
    this.last = Math.max(this.last, last + EPOCHS_AHEAD);
    for (const { key, place, msLeft } of places) if (!this.places.has(key)) this.put(key, place, msLeft);
  }

  private put(key: string, place: ClientPlace, ttlMs: number): void {
    const { places, clock } = this;
    places.delete(key);
    places.set(key, { place, endsAt: clock.now() + ttlMs });
    for (const [oldest, { endsAt }] of places) {
      if (endsAt > clock.now() && places.size <= CLIENTS_MAX) return;
      places.delete(oldest);
    }
  }
}
