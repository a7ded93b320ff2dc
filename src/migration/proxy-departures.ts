import type { Clock, Timers } from '../base/time.ts';
import {
  Departure,
  type DepartureOptions,
  type DepartureProgress,
  type Dismiss,
  type HandedDeparture,
} from './departure.ts';

/** What lets the devices of this proxy leave, one thing at a time: a drain, its part of a rebalance, or its end. */

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

export function createProxyDepartures(parts: ProxyDeparturesParts) {
  let numbers = 0;
  let present: { readonly kind: Kind; readonly departure: Departure } | undefined;
  /** Of the end of the proxy. */
  let last: { readonly number: number; left: number; owed: number } | undefined;

  function begin(kind: Kind, order: Pick<DepartureOptions, 'rate' | 'delayMs' | 'most' | 'earlier'>): void {
    present?.departure.stop();
    const departure = new Departure({
      ...{ ...parts, ...order, number: () => ++numbers },
      reason: kind === 'drain' ? 'proxy-drain' : 'proxy-rebalance',
      onProgress: (progress) => parts.onProgress(kind, progress),
    });
    present = { kind, departure };
  }

  function setDraining(on: boolean): void {
    if (parts.phase.isDraining === on) return;
    parts.phase.isDraining = on;
    parts.onState(on);
  }

  return {
    /** Once more: with another rate. */
    drain({ rate, within, delay }: DrainOrder): void {
      const perSecond = within === undefined ? (rate ?? DEFAULT_DEPARTURE_RATE) : parts.devices() / within;
      const bounded = Math.max(1, perSecond);
      if (parts.phase.isDraining && present?.kind === 'drain') return present.departure.setRate(bounded);
      setDraining(true);
      begin('drain', { rate: bounded, delayMs: 1000 * delay });
    },
    enable(): void {
      setDraining(false);
      present?.departure.stop();
      present = undefined;
    },
    /** Lets so many go, and no more. Not while it is drained: then all go. */
    share({ count, rate }: ShareOrder): void {
      if (!parts.phase.isDraining) begin('rebalance', { rate, delayMs: 0, most: count });
    },
    /** Of the last one of that kind, if it is the present one. */
    progress: (kind: Kind): DepartureProgress | undefined =>
      present?.kind === kind ? present.departure.progress() : undefined,
    /** The proxy ends: this part of those leave that were here at the first call, and have not left yet; 1: everybody. */
    async end(part: number): Promise<void> {
      if (part >= 1) return void (await parts.dismiss(++numbers, Number.POSITIVE_INFINITY, 'shutdown'));
      if (last === undefined) {
        present?.departure.stop();
        last = { number: ++numbers, left: 0, owed: 0 };
        last.left = (await parts.dismiss(last.number, 0, 'shutdown')).left;
      }
      last.owed += (last.left - last.owed) * part;
      const count = Math.floor(last.owed);
      if (count === 0) return;
      last.owed -= count;
      last.left = (await parts.dismiss(last.number, count, 'shutdown')).left;
    },
    describe: (): HandedDepartures => ({
      isDraining: parts.phase.isDraining,
      present: present && { kind: present.kind, ...present.departure.describe() },
    }),
    /** All who are here by then leave, those who came late too, unless nobody but those was left. */
    restore({ isDraining, present: handed }: HandedDepartures): void {
      parts.phase.isDraining = isDraining;
      present?.departure.stop();
      present = undefined;
      if (handed !== undefined) begin(handed.kind, { ...handed, earlier: handed });
    },
    stop(): void {
      present?.departure.stop();
    },
  };
}

export type ProxyDepartures = ReturnType<typeof createProxyDepartures>;
