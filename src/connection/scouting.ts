import type { Session } from '../session/index.ts';
import type { MovePolicy } from './connection-host.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { Target } from './wire.ts';

/** How a session whose node hangs finds out whether other nodes would have it at once: this is whose session it is. */
interface Owner {
  readonly connection: ForwarderHost;
  readonly session: Session;
  readonly policy: MovePolicy;
}

/**
 * One session's part in finding out what becomes of questions for sessions of a node that hangs (`Scouts`). The scout asks for
 * a newcomer first: under a client id of ours, as its device, clean and without the Will. A cluster whose nodes agree on who has
 * a client id cannot let that in either while one of them hangs, and it costs nobody anything.
 */
export class Scouting {
  /** It is a newcomer that is asked for. */
  isProbing = false;
  private isFree = false;
  private readonly owner: Owner;
  private readonly origin: Target;

  /** @param origin the node that hangs */
  constructor(owner: Owner, origin: Target) {
    this.owner = owner;
    this.origin = origin;
  }

  /** As long as it is not known that others have a session of this node at once, it waits with its node. */
  isHeldBack(silentSinceMs: number, endsAtMs: number): boolean {
    if (this.isFree) return false;
    const { policy, session, connection } = this.owner;
    const { host } = connection;
    const nowMs = host.now();
    if (host.hasSpoken(this.origin, nowMs - policy.silenceTimeoutMs)) return true;
    const lockedMs = policy.reattachConnackDeadlineMs;
    const searchesSinceMs = endsAtMs - policy.silenceDeadlineMs;
    const wish = { silentSinceMs, searchesSinceMs, lockedMs, stake: session.takeoverStake };
    const permission = host.scouts.mayAsk(this.origin, wish, nowMs);
    this.isFree = permission !== 'no';
    this.isProbing = permission === 'first';
    return !this.isFree;
  }

  /** The CONNECT for the node that is asked. */
  connect(): Uint8Array {
    const { session, connection } = this.owner;
    const { host } = connection;
    host.scouts.sent(this.origin, host.now());
    if (!this.isProbing) return session.ask();
    const name = Math.floor(host.random() * 36 ** 6).toString(36);
    return session.purgeConnect(new TextEncoder().encode(`breakwater-probe-${name.padStart(6, '0')}`));
  }

  /** The newcomer was answered. Not at once: the cluster waits, or has waited, for the node. */
  probed(wasAtOnce: boolean): void {
    this.isProbing = false;
    this.isFree = wasAtOnce;
  }

  /** Another node has the session at once: others may ask as well. */
  hadAtOnce(): void {
    const { host } = this.owner.connection;
    host.scouts.answered(this.origin, host.now());
  }
}
