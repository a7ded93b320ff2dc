import { once } from 'node:events';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { atEnd } from './process.ts';
import { until } from './wait.ts';

const WORKER = resolve('dist/test/support/bystander-worker.js');

/**
 * A device that publishes all the time, one message behind another, and hears it again from a broker of its own. It lives
 * in a thread of its own, so that what the test does holds it up as little as another process.
 */
export interface Bystander {
  /** Where its broker is. */
  readonly url: string;
  /** Begins to speak, with the client id `bystander`. The proxy has one data thread. */
  speak(proxy: { readonly pid: number; readonly port: number }): Promise<void>;
  /**
   * Runs it while the bystander speaks. Returns the longest of its round trips, in milliseconds for which the data thread
   * had a core during it: what the thread did before it came back to the bystander, however busy the machine is.
   */
  during(run: () => Promise<unknown>): Promise<number>;
}

export async function startBystander(): Promise<Bystander> {
  const shared = new Float64Array(new SharedArrayBuffer(16));
  const worker = new Worker(WORKER, { workerData: shared });
  atEnd(() => void worker.terminate());
  const [port] = await once(worker, 'message');
  const moreTrips = (): Promise<unknown> => {
    const wanted = (shared[0] as number) + 3;
    return until(() => (shared[0] as number) >= wanted, 'the bystander to be served');
  };
  return {
    url: `mqtt://127.0.0.1:${port}`,
    async speak({ pid, port: at }) {
      worker.postMessage({ pid, at });
      await moreTrips();
    },
    async during(run) {
      await moreTrips();
      shared[1] = 0;
      await run();
      await moreTrips();
      return shared[1];
    },
  };
}
