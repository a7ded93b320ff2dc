/** Shares the time of one turn among sockets that have more to read than is read at once. */

import type { Clock } from '../../base/time.ts';
import { QUEUED, READABLE, type SocketFlags, type SocketStates } from './socket-state.ts';

const always = (): boolean => true;

/** The sockets that are known to be readable and were not read to the end, each once. */
export class ReadyList {
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  // Their lengths never shrink, because V8 would let go of the memory and take it anew, turn by turn.
  private waiting: number[] = [];
  private serving: number[] = [];
  private count = 0;

  constructor(states: SocketStates) {
    this.states = states;
    this.flags = states.flags;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Queues the socket if it is readable. */
  add(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (READABLE | QUEUED)) !== READABLE) return;
    this.states.enqueue(fd);
    this.waiting[this.count++] = fd;
  }

  /** Serves those that are queued for so many ms, the others in a later call. */
  serveFor(ms: number, clock: Clock, each: (fd: number) => void): void {
    const endsAtMs = clock.now() + ms;
    this.serve(each, () => clock.now() < endsAtMs);
  }

  /** Serves those that are queued, at least one, while it `goesOn`. Those that are added meanwhile wait for the next call. */
  serve(each: (fd: number) => void, goesOn: () => boolean = always): void {
    const { waiting: now, count } = this;
    this.waiting = this.serving;
    this.serving = now;
    this.count = 0;
    let isServing = true;
    let served = 0;
    for (let at = 0; at < count; at++) {
      const fd = now[at] as number;
      const flags = this.flags[fd] as number;
      if ((flags & QUEUED) === 0) continue; // closed since
      if (isServing && served++ > 0) isServing = goesOn();
      if (!isServing) {
        this.waiting[this.count++] = fd;
        continue;
      }
      this.states.dequeue(fd);
      each(fd);
    }
  }
}
