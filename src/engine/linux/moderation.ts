/** Decides whether the thread sleeps somewhat longer than until the next event, so that it serves several at once. */

/** So many turns of the loop are looked at together. */
const TURNS = 128;
/** From so many events a millisecond on, at least three come while the thread gathers them. */
const EVENTS_PER_MS = 30;
/** One side says so much less than the other that nobody waits for its answers. */
const ONE_WAY = 16;
/** Where more than so many came at once, more come without being waited for. */
const MANY = 16;

/**
 * Interrupt moderation, as network cards do it: of a message that comes alone, falling asleep and being woken cost nearly half; where
 * messages come in quick succession, and the thread sleeps for some 0.1 ms after each, it is woken once for several.
 *
 * What that costs is the time that a message waits for others, and so it is done only where messages go one way: devices publish with QoS 0,
 * or a node sends to its subscribers. Who sends such a message cannot tell. Where the other side answers, somebody may wait for that, and nothing
 * is made to wait.
 */
export class Moderation {
  private turns = 0;
  private events = 0;
  private fromDevices = 0;
  private sinceMs: number;
  private last = 0;
  private pays = false;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }

  /** @param events of one turn, of which so many are at sockets of devices */
  turned(events: number, fromDevices: number, nowMs: number): void {
    this.last = events;
    this.events += events;
    this.fromDevices += fromDevices;
    this.turns++;
    if (this.turns < TURNS) return;
    const fewer = Math.min(this.fromDevices, this.events - this.fromDevices);
    const isQuick = this.events >= EVENTS_PER_MS * (nowMs - this.sinceMs);
    this.pays = isQuick && fewer * ONE_WAY <= this.events;
    this.turns = 0;
    this.events = 0;
    this.fromDevices = 0;
    this.sinceMs = nowMs;
  }

  /** Whether the thread, when nothing is there, sleeps longer. */
  get gathers(): boolean {
    return this.pays && this.last <= MANY;
  }
}
