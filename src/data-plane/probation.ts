/** Which connections have only just been taken over from a thread that died. */

/** What the state of a connection does to the thread that goes on with it, it mostly does at once: bytes wait, timers are due. */
export const PROBATION_MS = 2_000;

/**
 * Nobody knows which connection it was that killed a thread, if that did not show. So that it does not kill one thread after
 * the other, a thread that dies so soon after it has taken over from another leaves to nobody what it has taken over.
 */
export class Probation<Connection extends object> {
  private readonly now: () => number;
  private members = new WeakSet<Connection>();
  private untilMs = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  /** It has been taken over, the last of those that are. */
  add(connection: Connection): void {
    const nowMs = this.now();
    if (nowMs >= this.untilMs) this.members = new WeakSet();
    this.untilMs = nowMs + PROBATION_MS;
    this.members.add(connection);
  }

  has(connection: Connection): boolean {
    return this.now() < this.untilMs && this.members.has(connection);
  }
}
