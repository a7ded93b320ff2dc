import { QUEUED, READABLE } from './socket-table.ts';

/** The sockets that are known to be readable and were not read to the end, each once. */
export class ReadyList {
  private readonly flags: Uint32Array;
  private waiting: number[] = [];
  private serving: number[] = [];

  constructor(flags: Uint32Array) {
    this.flags = flags;
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Queues the socket if it is readable. */
  add(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (READABLE | QUEUED)) !== READABLE) return;
    this.flags[fd] = flags | QUEUED;
    this.waiting.push(fd);
  }

  /** Serves those that are queued, or so many of them. Those that are added meanwhile wait for the next call. */
  serve(each: (fd: number) => void, limit = Number.POSITIVE_INFINITY): void {
    const now = this.waiting;
    this.waiting = this.serving;
    this.serving = now;
    let served = 0;
    for (const fd of now) {
      const flags = this.flags[fd] as number;
      if ((flags & QUEUED) === 0) continue; // closed since
      if (served++ >= limit) {
        this.waiting.push(fd);
        continue;
      }
      this.flags[fd] = flags & ~QUEUED;
      each(fd);
    }
    now.length = 0;
  }
}
