import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PAGE_BYTES = 4096;

/** CPU microseconds that the processes have used, all threads, exact to the nanosecond (schedstat). */
export function cpuUs(pids: readonly number[]): number {
  let ns = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    }
  }
  return ns / 1000;
}

export function residentBytes(pids: readonly number[]): number {
  let pages = 0;
  for (const pid of pids) pages += Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
  return pages * PAGE_BYTES;
}

/** Where `heap-probe.ts` writes what it has found in a process. */
export const heapFile = (pid: number): string => join(tmpdir(), `breakwater-heap-${pid}`);

/** Bytes of the live objects in a proxy that was started with `heap-probe.ts`; `wait` is called until they are known. */
export function heapBytes(pid: number, wait: () => void): number {
  const file = heapFile(pid);
  rmSync(file, { force: true });
  process.kill(pid, 'SIGPWR');
  for (const end = performance.now() + 10_000; !existsSync(file); wait()) {
    if (performance.now() > end) throw new Error(`process ${pid} has no heap probe`);
  }
  const bytes = Number(readFileSync(file, 'latin1'));
  rmSync(file);
  return bytes;
}

/** Latencies in microseconds, exact up to 20 ms. */
export class Histogram {
  private readonly counts = new Uint32Array(20_001);
  private total = 0;

  add(us: number): void {
    const at = Math.min(this.counts.length - 1, Math.round(us));
    this.counts[at] = (this.counts[at] as number) + 1;
    this.total++;
  }

  quantile(share: number): number {
    let left = share * this.total;
    for (let us = 0; us < this.counts.length; us++) {
      left -= this.counts[us] as number;
      if (left <= 0) return us;
    }
    return this.counts.length - 1;
  }
}
