import type { Timers } from '../base/time.ts';

/** Commands that wait for the store at one time: enough to keep Redis busy, few enough to leave room for others. */
const IN_FLIGHT_MAX = 128;
/** Commands that wait for their turn: as many as a proxy commonly has devices. */
export const WAITING_MAX = 200_000;

/** Runs work that asks the store in the order in which it came, some of it at one time. The work deals with its own errors. */
export class StoreQueue {
  private readonly timers: Timers;
  private readonly waiting = new Set<() => Promise<void>>();
  private inFlight = 0;
  private onIdle = (): void => {};

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** False where too much waits already. */
  add(work: () => Promise<void>): boolean {
    if (this.waiting.size >= WAITING_MAX) return false;
    this.waiting.add(work);
    this.next();
    return true;
  }

  /** Resolves when all work is done, or after so long. */
  async drained(timeoutMs: number): Promise<void> {
    if (this.inFlight === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.timers.setTimeout(resolve, timeoutMs);
      this.onIdle = () => {
        this.timers.clearTimeout(timer);
        resolve();
      };
    });
  }

  private next(): void {
    for (const work of this.waiting) {
      if (this.inFlight >= IN_FLIGHT_MAX) return;
      this.waiting.delete(work);
      this.inFlight++;
      void work().finally(() => {
        this.inFlight--;
        this.next();
      });
    }
    if (this.inFlight === 0) this.onIdle();
  }
}
