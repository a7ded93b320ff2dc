import { AdaptiveSpin } from './adaptive-spin.ts';
import { Moderation } from './moderation.ts';
import type { Poller } from './poller.ts';
import { DEVICE, TLS } from './socket-state.ts';

/** How the loop waits for its next events: it looks for them somewhat longer, or sleeps until one comes, or until several are there. */
export class EventWait {
  private readonly poller: Poller;
  private readonly spin = new AdaptiveSpin();
  private readonly moderation: Moderation;
  private readonly gathers: boolean;
  /** Of the socket of the last event: which of `DEVICE` and `TLS` it is. */
  private kind = 0;
  private events = 0;
  private fromDevices = 0;

  constructor(poller: Poller, gathers: boolean, nowMs: number) {
    this.poller = poller;
    this.gathers = gathers;
    this.moderation = new Moderation(nowMs);
  }

  /** How many events there are, or the negative errno (EINTR). */
  wait(timeoutMs: number): number {
    this.events = 0;
    this.fromDevices = 0;
    return this.spin.wait(this.poller, timeoutMs, this.kind, this.gathers && this.moderation.gathers);
  }

  /** One of them is at a socket with these flags. */
  saw(flags: number): void {
    this.kind = flags & (DEVICE | TLS);
    this.events++;
    if ((flags & DEVICE) !== 0) this.fromDevices++;
  }

  /** All of them have been served. @param nowMs when that began */
  served(nowMs: number): void {
    this.moderation.turned(this.events, this.fromDevices, nowMs);
  }
}
