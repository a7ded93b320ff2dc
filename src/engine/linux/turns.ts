import type { LinuxWire } from './wire.ts';

/** Runs what connections have left to a later turn of the loop, for a bounded time in each turn. */

interface Task {
  readonly wire: LinuxWire;
  readonly run: () => void;
}

/** Of one turn of the loop, for all that was left to later turns: those who wait for an event wait no longer. */
const MOST_MS = 4;

/** What connections have left to a later turn of the loop: one task after another, in the order in which they came. */
export class Turns {
  private readonly now: () => number;
  private readonly run: (wire: LinuxWire, task: () => void) => void;
  private serving: (Task | undefined)[] = [];
  private at = 0;
  private waiting: Task[] = [];

  /** `now` in milliseconds, read anew for every task. */
  constructor(now: () => number, run: (wire: LinuxWire, task: () => void) => void) {
    this.now = now;
    this.run = run;
  }

  get isEmpty(): boolean {
    return this.at === this.serving.length && this.waiting.length === 0;
  }

  add(wire: LinuxWire, run: () => void): void {
    wire.taskBegins();
    this.waiting.push({ wire, run });
  }

  /** Runs those that wait, or as many as there is time for; what they add waits behind all others. */
  serve(): void {
    if (this.at === this.serving.length) {
      this.serving = this.waiting;
      this.waiting = [];
      this.at = 0;
    }
    const untilMs = this.now() + MOST_MS;
    while (this.at < this.serving.length) {
      const task = this.serving[this.at] as Task;
      this.serving[this.at++] = undefined;
      task.wire.taskEnds();
      this.run(task.wire, task.run);
      if (this.now() >= untilMs) return;
    }
  }
}

/** What is to be done at the end of a turn of the loop, each once. */
export class Deferred {
  private readonly attempt: (task: () => void) => void;
  private tasks: (() => void)[] = [];

  /** @param attempt runs one, whatever it throws */
  constructor(attempt: (task: () => void) => void) {
    this.attempt = attempt;
  }

  get isEmpty(): boolean {
    return this.tasks.length === 0;
  }

  add(task: () => void): void {
    this.tasks.push(task);
  }

  /** Runs those that wait; what they add waits for the next turn. False: there were none. */
  run(): boolean {
    if (this.isEmpty) return false;
    const { tasks } = this;
    this.tasks = [];
    for (const task of tasks) this.attempt(task);
    return true;
  }
}
