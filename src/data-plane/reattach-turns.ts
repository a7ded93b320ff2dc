import type { TurnEnd, TurnQueue, TurnTaker } from '../connection/turn-queue.ts';
import { AdaptiveWindow } from '../policy/admission/adaptive-window.ts';

/** Before anything is known of a node, so many sessions are asked for at once, by all threads together. */
const START_SIZE = 4;
/** What was learned about a node is forgotten when it was not asked for so long. */
const FORGET_MS = 10_000;

/**
 * The sessions of this thread that are to be asked for at each node: each node has an adaptive window, and who does not
 * find room in it waits, first come, first served. Every wait ends: a question makes room when its time is over though
 * it has no answer, and whoever waits looks elsewhere after its own time (`ConnectAttempts`).
 */
export class ReattachTurns implements TurnQueue {
  private readonly lines = new Map<number, Line>();
  private readonly now: () => number;
  private readonly startSize: number;

  /** @param now milliseconds, monotonic; @param threads that ask the same nodes */
  constructor(now: () => number, threads: number) {
    this.now = now;
    this.startSize = START_SIZE / threads;
  }

  enter(taker: TurnTaker): void {
    const { slot } = taker.target;
    let line = this.lines.get(slot);
    if (line === undefined) {
      line = new Line(this.now, this.startSize);
      this.lines.set(slot, line);
    }
    line.enter(taker);
  }

  leave(taker: TurnTaker, end: TurnEnd): void {
    this.lines.get(taker.target.slot)?.leave(taker, end);
  }

  /** Call it about twice a second. */
  beat(): void {
    for (const [slot, line] of this.lines) {
      line.expire();
      if (line.idleMs > FORGET_MS) this.lines.delete(slot);
    }
  }
}

class Line {
  /** In the order in which they came. */
  private readonly waiting = new Set<TurnTaker>();
  /** Of these, the ones that have not looked for another node yet: they do when this one is gone. */
  private readonly mayScatter = new Set<TurnTaker>();
  /** With the times at which they were. */
  private readonly asked = new Map<TurnTaker, number>();
  private readonly window: AdaptiveWindow;
  private readonly now: () => number;
  private usedAtMs = 0;
  private isBusy = false;

  constructor(now: () => number, startSize: number) {
    this.now = now;
    this.window = new AdaptiveWindow(startSize);
  }

  get idleMs(): number {
    return this.waiting.size + this.asked.size > 0 ? 0 : this.now() - this.usedAtMs;
  }

  enter(taker: TurnTaker): void {
    this.waiting.add(taker);
    this.mayScatter.add(taker);
    this.goOn();
  }

  leave(taker: TurnTaker, end: TurnEnd): void {
    const nowMs = this.now();
    this.usedAtMs = nowMs;
    this.waiting.delete(taker);
    this.mayScatter.delete(taker);
    const askedAtMs = this.asked.get(taker);
    if (askedAtMs !== undefined) {
      const isFull = this.asked.size >= this.window.room;
      this.asked.delete(taker);
      if (end === 'answered') this.window.answered(askedAtMs, nowMs, isFull);
      else if (end !== 'left') this.window.overloaded(askedAtMs, nowMs);
    }
    if (end === 'gone') this.scatter();
    this.goOn();
  }

  /** The node is gone: those that wait look for another one, once. Those that know no other stay. */
  private scatter(): void {
    const all = [...this.mayScatter];
    this.mayScatter.clear();
    for (const each of all) if (this.waiting.has(each)) each.goElsewhere();
  }

  /** A node that does not answer in time is asked less, but never nothing. */
  expire(): void {
    const nowMs = this.now();
    const { patienceMs } = this.window;
    for (const [taker, askedAtMs] of this.asked) {
      if (nowMs - askedAtMs < patienceMs) break;
      this.asked.delete(taker);
      this.window.overloaded(askedAtMs, nowMs);
    }
    this.goOn();
  }

  /** One that begins may leave at once, so the loop must not run inside itself. */
  goOn(): void {
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      while (this.asked.size < this.window.room && this.waiting.size > 0) this.beginNext();
    } finally {
      this.isBusy = false;
    }
  }

  private beginNext(): void {
    const [first] = this.waiting;
    if (first === undefined) return;
    this.waiting.delete(first);
    this.mayScatter.delete(first);
    this.asked.set(first, this.now());
    first.begin();
  }
}
