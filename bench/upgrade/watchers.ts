import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Way } from '../failover/doors.ts';

/** Devices with a steady stream of round trips, in a thread of their own: how long does one of them wait? */

export interface WatchOptions {
  /** One for each device. */
  readonly ways: readonly Way[];
  /** A device sends its next message so long after the last, once that has come back. */
  readonly everyMs: number;
}

/** What they saw between `begin` and `end`. */
export interface Watched {
  /** The longest round trip of each, of those that ended then or are under way; in milliseconds. */
  readonly longestMs: readonly number[];
  readonly trips: number;
  /** How late a timer of this thread was at worst: what the load itself adds. */
  readonly lateMs: number;
  /** Since the start. */
  readonly disconnects: number;
  /** Messages of QoS 0 that had not come back after ten seconds; since the start. */
  readonly lost: number;
  readonly violations: readonly string[];
}

export interface Watchers {
  begin(): Promise<void>;
  end(): Promise<Watched>;
  leave(): Promise<void>;
}

export async function watch(options: WatchOptions): Promise<Watchers> {
  const worker = new Worker(new URL('./watcher-thread.js', import.meta.url), { workerData: options });
  const asked = async (what: 'begin' | 'end' | 'leave'): Promise<Watched> => {
    worker.postMessage(what);
    const [answer] = await once(worker, 'message');
    return answer as Watched;
  };
  await once(worker, 'message'); // all are connected
  return {
    begin: () => asked('begin').then(() => {}),
    end: () => asked('end'),
    async leave() {
      await asked('leave');
      await worker.terminate();
    },
  };
}
