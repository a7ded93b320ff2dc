import type { Clock, Timers } from '../base/time.ts';
import {
  Departure,
  type DepartureOptions,
  type DepartureProgress,
  type Dismiss,
  type HandedDeparture,
} from './departure.ts';

/** Devices a second that leave a proxy which is drained, or all proxies together that are rebalanced. */
export const DEFAULT_DEPARTURE_RATE = 100;

interface ProxyDeparturesParts {
  readonly dismiss: Dismiss;
  readonly devices: () => number;
  /** Whether the proxy is drained, for all who want to know. */
  readonly phase: { isDraining: boolean };
  /** Nobody leaves now: connections go over to another process. */
  readonly isHeld: () => boolean;
  readonly onState: (isDraining: boolean) => void;
  readonly onProgress: (kind: Kind, progress: DepartureProgress) => void;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** What lets devices leave, as another process goes on with it. */
export interface HandedDepartures {
  readonly isDraining: boolean;
  readonly present?: (HandedDeparture & { readonly kind: Kind }) | undefined;
}

type Kind = 'drain' | 'rebalance';

export interface DrainOrder {
  /** Devices a second. */
  readonly rate?: number | undefined;
  /** Instead of a rate: all that are here leave within so many seconds. */
  readonly within?: number | undefined;
  /** Seconds in which the proxy is not ready and nobody leaves yet. */
  readonly delay: number;
}

/** One proxy's part of a rebalance. */
export interface ShareOrder {
  readonly count: number;
  readonly rate: number;
}

/** What lets the devices of this proxy leave, one thing at a time: a drain, its part of a rebalance, or its end. */
export class ProxyDepartures {
  private readonly parts: ProxyDeparturesParts;
  private numbers = 0;
  private present: { readonly kind: Kind; readonly departure: Departure } | undefined;
  /** Of the end of the proxy. */
  private last: { readonly number: number; left: number; owed: number } | undefined;

  constructor(parts: ProxyDeparturesParts) {
    this.parts = parts;
  }

  /** Once more: with another rate. */
  drain({ rate, within, delay }: DrainOrder): void {
    const { phase, devices } = this.parts;
    const perSecond = within === undefined ? (rate ?? DEFAULT_DEPARTURE_RATE) : devices() / within;
    const bounded = Math.max(1, perSecond);
    if (phase.isDraining && this.present?.kind === 'drain') return this.present.departure.setRate(bounded);
    this.setDraining(true);
    this.begin('drain', { rate: bounded, delayMs: 1000 * delay });
  }

  enable(): void {
    this.setDraining(false);
    this.present?.departure.stop();
    this.present = undefined;
  }

  /** Lets so many go, and no more. Not while it is drained: then all go. */
  share({ count, rate }: ShareOrder): void {
    if (!this.parts.phase.isDraining) this.begin('rebalance', { rate, delayMs: 0, most: count });
  }

  /** Of the last one of that kind, if it is the present one. */
  progress(kind: Kind): DepartureProgress | undefined {
    return this.present?.kind === kind ? this.present.departure.progress() : undefined;
  }

  /** The proxy ends: this part of those leave that were here at the first call, and have not left yet; 1: everybody. */
  async end(part: number): Promise<void> {
    const { dismiss } = this.parts;
    if (part >= 1) return void (await dismiss(++this.numbers, Number.POSITIVE_INFINITY, 'shutdown'));
    if (this.last === undefined) {
      this.present?.departure.stop();
      this.last = { number: ++this.numbers, left: 0, owed: 0 };
      this.last.left = (await dismiss(this.last.number, 0, 'shutdown')).left;
    }
    const { last } = this;
    last.owed += (last.left - last.owed) * part;
    const count = Math.floor(last.owed);
    if (count === 0) return;
    last.owed -= count;
    last.left = (await dismiss(last.number, count, 'shutdown')).left;
  }

  /** Nobody comes any more: from the next call of `end` on those leave who are here by then, and came back meanwhile. */
  anew(): void {
    this.last = undefined;
  }

  describe(): HandedDepartures {
    const { present, parts } = this;
    return {
      isDraining: parts.phase.isDraining,
      present: present && { kind: present.kind, ...present.departure.describe() },
    };
  }

  /** All who are here by then leave, those who came late too, unless nobody but those was left. */
  restore({ isDraining, present: handed }: HandedDepartures): void {
    this.parts.phase.isDraining = isDraining;
    this.present?.departure.stop();
    this.present = undefined;
    if (handed !== undefined) this.begin(handed.kind, { ...handed, earlier: handed });
  }

  stop(): void {
    this.present?.departure.stop();
  }

  private begin(kind: Kind, order: Pick<DepartureOptions, 'rate' | 'delayMs' | 'most' | 'earlier'>): void {
    this.present?.departure.stop();
    const departure = new Departure({
      ...{ ...this.parts, ...order, number: () => ++this.numbers },
      reason: kind === 'drain' ? 'proxy-drain' : 'proxy-rebalance',
      onProgress: (progress) => this.parts.onProgress(kind, progress),
    });
    this.present = { kind, departure };
  }

  private setDraining(on: boolean): void {
    if (this.parts.phase.isDraining === on) return;
    this.parts.phase.isDraining = on;
    this.parts.onState(on);
  }
}
