import { QUEUED, READABLE } from './socket-table.ts';

/** The sockets that are known to be readable and were not read to the end, each once. */
export class ReadyList {
  private readonly flags: Uint32Array;
  // Their lengths never shrink, because V8 would let go of the memory and take it anew, turn by turn.
  private waiting: number[] = [];
  private serving: number[] = [];
  private count = 0;

  constructor(flags: Uint32Array) {
    this.flags = flags;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Queues the socket if it is readable. */
  add(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (READABLE | QUEUED)) !== READABLE) return;
    this.flags[fd] = flags | QUEUED;
    this.waiting[this.count++] = fd;
  }

  /** Serves those that are queued, or so many of them. Those that are added meanwhile wait for the next call. */
  serve(each: (fd: number) => void, limit = Number.POSITIVE_INFINITY): void {
    const { waiting: now, count } = this;
    this.waiting = this.serving;
    this.serving = now;
    this.count = 0;
    let served = 0;
    for (let at = 0; at < count; at++) {
      const fd = now[at] as number;
      const flags = this.flags[fd] as number;
      if ((flags & QUEUED) === 0) continue; // closed since
      if (served++ >= limit) {
        this.waiting[this.count++] = fd;
        continue;
      }
      this.flags[fd] = flags & ~QUEUED;
      each(fd);
    }
  }
}
