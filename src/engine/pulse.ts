import { sharedTime } from '../base/time.ts';

/** The signs of life that a data thread gives in shared memory, and how they are written. */

/** Doubles of one thread, in this order. */
export const PULSE_DOUBLES = 4;
/** When the thread gave its last sign of life, by the clock that all threads share; 0: it has given none yet. */
export const BEAT = 0;
/** When its present turn began, by the same clock; 0 between turns. */
export const BEGAN = 1;
/** The number of the connection that it is at, or was at last in this turn; 0: one without a number, or something else. */
export const AT = 2;
/** Its longest turn in milliseconds, since whoever watches has set it to 0. */
export const LONGEST = 3;

/**
 * The signs of life of one data thread, in memory that the main thread looks at (`data-plane/watchdog.ts`): a thread that
 * does not come back from a connection cannot say so itself. An engine writes them at the begin and end of each turn of its
 * loop, and turns several times a second, also when nothing happens.
 */
export class Pulse {
  private readonly doubles: Float64Array;

  constructor(doubles: Float64Array = new Float64Array(PULSE_DOUBLES)) {
    this.doubles = doubles;
  }

  /** A turn begins. `nowMs` by the clock of the thread, here and below. */
  begin(nowMs: number): void {
    const { doubles } = this;
    doubles[AT] = 0;
    doubles[BEGAN] = doubles[BEAT] = sharedTime(nowMs);
  }

  /** The thread is at the connection of this number from now on. */
  at(connection: number): void {
    this.doubles[AT] = connection;
  }

  /** The turn ends. */
  end(nowMs: number): void {
    const { doubles } = this;
    const now = sharedTime(nowMs);
    const tookMs = now - (doubles[BEGAN] as number);
    doubles[BEAT] = now;
    doubles[BEGAN] = 0;
    if (tookMs > (doubles[LONGEST] as number)) doubles[LONGEST] = tookMs;
  }

  get isInTurn(): boolean {
    return this.doubles[BEGAN] !== 0;
  }

  /** A sign of life between turns. */
  beat(nowMs: number): void {
    this.doubles[BEAT] = sharedTime(nowMs);
  }
}
