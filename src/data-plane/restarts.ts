import type { Clock } from '../base/time.ts';

/** How soon workers that have died are started again, which of them die again and again, and whose devices others go on with. */

/** A worker that has lived for so long is sound: what it died of before does not count any more. */
export const STEADY_MS = 30_000;
/** So many deaths in a row, and something is wrong that a restart does not mend. */
const FAILING_AFTER = 3;
/** Doubled with each death in a row: a worker that cannot live must not take the cores of those that can. */
const FIRST_DELAY_MS = 500;
/** It is still tried: the cause may pass, as an address that another program has. */
const MAX_DELAY_MS = 10_000;

interface Row {
  /** Deaths, each within `STEADY_MS` of its life. */
  deaths: number;
  /** When it began to listen; undefined while it does not. */
  livesSinceMs: number | undefined;
}

interface Death {
  /** In a row, this one included. */
  readonly deaths: number;
  readonly delayMs: number;
  /**
   * Others may go on with what it has left. One that dies again and again may die of what goes over each time, whatever that is:
   * its devices end, so that nothing goes round for ever.
   */
  readonly mayLeave: boolean;
}

/** Counts the deaths of each worker of a pool in a row. */
export class Restarts {
  private readonly clock: Clock;
  private readonly rows = new Map<number, Row>();
  /** Deaths of all. */
  total = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** It listens. */
  lives(thread: number): void {
    this.rowOf(thread).livesSinceMs = this.clock.now();
  }

  /** It has died, or could not be started. @param isAwaited devices stand still until the next lives */
  died(thread: number, isAwaited = false): Death {
    const row = this.rowOf(thread);
    if (this.isSteady(row)) row.deaths = 0;
    row.livesSinceMs = undefined;
    const deaths = ++row.deaths;
    this.total++;
    const mayLeave = deaths <= FAILING_AFTER;
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (deaths - 1));
    return { deaths, delayMs: isAwaited && mayLeave ? 0 : delayMs, mayLeave };
  }

  /** Call it `STEADY_MS` after `lives`. True where a worker that was failing is sound. */
  settle(thread: number): boolean {
    const row = this.rowOf(thread);
    if (!this.isSteady(row)) return false;
    const wasFailing = isFailing(row);
    row.deaths = 0;
    return wasFailing;
  }

  /** Those that die again and again; one that lives at present is among them until it is steady. */
  get failing(): readonly number[] {
    return [...this.rows].flatMap(([thread, row]) => (isFailing(row) ? [thread] : [])).sort((a, b) => a - b);
  }

  /** Is this the death at which it began to fail? */
  hasBegunToFail({ deaths }: Death): boolean {
    return deaths === FAILING_AFTER;
  }

  private isSteady({ livesSinceMs }: Row): boolean {
    return livesSinceMs !== undefined && this.clock.now() - livesSinceMs >= STEADY_MS;
  }

  private rowOf(thread: number): Row {
    let row = this.rows.get(thread);
    if (row === undefined) {
      row = { deaths: 0, livesSinceMs: undefined };
      this.rows.set(thread, row);
    }
    return row;
  }
}

function isFailing({ deaths }: Row): boolean {
  return deaths >= FAILING_AFTER;
}
