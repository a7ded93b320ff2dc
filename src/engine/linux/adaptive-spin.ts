import type { Poller } from './poller.ts';
import { TLS } from './socket-state.ts';

/** Decides whether the loop looks for the next events a few times more before the thread sleeps. */

const SURE = 16;
const MAX = 48;
/** One wait of a kind in so many is tried out where nothing is expected: it costs below 1 % of the core. */
const TRIAL_EVERY = 256;

/**
 * Whether to look for the next events a few times more before sleeping until they come. Falling asleep and being woken
 * costs about as much time of the core as looking does, and makes whoever arrives wait for tens of microseconds; so
 * looking pays where in nine of ten times something comes (as in competitive spinning; Karlin et al. 1990).
 *
 * That is learned apart for each kind of last event: behind bytes of a device the answer of its node may be near, while
 * behind the answer nobody knows when the next device speaks.
 */
export class AdaptiveSpin {
  private readonly confidence = new Uint8Array(2);
  private readonly waits = new Uint32Array(2);

  /**
   * Waits for events; how many there are.
   * @param kind of the last one: which of `DEVICE` and `TLS` its socket is
   * @param gathers where it sleeps, it sleeps on until there are several
   */
  wait(
    poller: Pick<Poller, 'wait' | 'gather' | 'look' | 'looks'>,
    timeoutMs: number,
    kind: number,
    gathers: boolean,
  ): number {
    // Behind TLS looking never pays: records that gather while the thread sleeps cost less, served together.
    if (timeoutMs !== 0 && !gathers && (kind & TLS) === 0 && this.expects(kind)) {
      let count = 0;
      for (let look = 0; look < poller.looks && count === 0; look++) count = poller.look();
      this.learn(kind, count !== 0);
      if (count !== 0) return count;
    }
    return gathers && timeoutMs !== 0 ? poller.gather(timeoutMs) : poller.wait(timeoutMs);
  }

  expects(kind: number): boolean {
    const waits = ((this.waits[kind] as number) + 1) % TRIAL_EVERY;
    this.waits[kind] = waits;
    return (this.confidence[kind] as number) >= SURE || waits === 0;
  }

  /** Whether something came while it was looked for. */
  learn(kind: number, came: boolean): void {
    const confidence = this.confidence[kind] as number;
    this.confidence[kind] = came ? Math.min(MAX, confidence + 1) : Math.max(0, confidence - 9);
  }
}
