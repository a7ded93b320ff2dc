import type { Defendant } from '../connection/evidence.ts';

/** How long a node has to answer what it is sent, or to die. Then it is the next session's turn. */
const TRIAL_MS = 200;

/**
 * Sessions whose packets a node may have died of send them again one at a time at each node. If that node dies too, it is
 * known of which, and those that wait have sent nothing.
 */
export class Trials {
  private readonly courts = new Map<string, Court>();
  private readonly now: () => number;

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.now = now;
  }

  /** Calls `begin` when it is its turn: at once, or later. */
  enter(defendant: Defendant, node: string): void {
    const court = this.courts.get(node) ?? new Court(this.now);
    this.courts.set(node, court);
    court.waiting.add(defendant);
    this.goOn(node, court);
  }

  /** The session has survived its trial, or has gone. */
  leave(defendant: Defendant, node: string): void {
    const court = this.courts.get(node);
    if (court === undefined) return;
    court.waiting.delete(defendant);
    if (court.present === defendant) court.present = undefined;
    this.goOn(node, court);
  }

  /** Call it about twice a second: a session whose time is over gives way, though its trial is not decided. */
  beat(): void {
    for (const [node, court] of this.courts) {
      if (this.now() - court.beganAtMs >= TRIAL_MS) court.present = undefined;
      this.goOn(node, court);
    }
  }

  private goOn(node: string, court: Court): void {
    court.next();
    if (court.isIdle) this.courts.delete(node);
  }
}

class Court {
  present: Defendant | undefined;
  beganAtMs = 0;
  /** In the order in which they came. */
  readonly waiting = new Set<Defendant>();
  private readonly now: () => number;
  private isBusy = false;

  constructor(now: () => number) {
    this.now = now;
  }

  get isIdle(): boolean {
    return !this.isBusy && this.present === undefined && this.waiting.size === 0;
  }

  /** A session may leave while it begins, so the loop must not run inside itself. */
  next(): void {
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.present === undefined) {
      const [first] = this.waiting;
      if (first === undefined) break;
      this.waiting.delete(first);
      this.present = first;
      this.beganAtMs = this.now();
      first.begin();
    }
    this.isBusy = false;
  }
}
