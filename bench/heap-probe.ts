import { renameSync, writeFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';
import { heapFile } from './load/gauges.ts';

/**
 * Loaded into a proxy by `--import`, with `--expose-gc`: at every SIGPWR it writes to `heapFile` how many bytes the live
 * objects of all threads take. What is resident says little of that, because V8 gives pages back when it likes to.
 */

/** A data thread hears of it when the main thread wakes it up the next time. */
const ANSWERS_MS = 2000;
const WEIGH = 'weigh';

const channel = new BroadcastChannel('heap-probe');
channel.unref();

function weight(): number {
  globalThis.gc?.();
  globalThis.gc?.(); // what the first has only found to be dead
  const { used_heap_size: onHeap, external_memory: beside } = getHeapStatistics();
  return onHeap + beside;
}

if (isMainThread) {
  let bytes = 0;
  channel.onmessage = ({ data }: { readonly data: number }) => {
    bytes += data;
  };
  process.on('SIGPWR', () => {
    bytes = weight();
    channel.postMessage(WEIGH);
    setTimeout(() => {
      const file = heapFile(process.pid);
      writeFileSync(`${file}.new`, String(bytes));
      renameSync(`${file}.new`, file);
    }, ANSWERS_MS);
  });
} else {
  channel.onmessage = ({ data }: { readonly data: unknown }) => {
    if (data === WEIGH) channel.postMessage(weight());
  };
}
