import type { PoolRoute } from './connection-host.ts';
import { type Asker, type Evidence, proofs } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { EndCause, Target } from './wire.ts';

/**
 * The answer comes within a second or so. This bound is for a main thread that does not answer at all; it is long,
 * because a device loses nothing by waiting.
 */
const ANSWER_TIMEOUT_MS = 5_000;

/** What is decided about the session. */
interface LossOwner {
  /** The node lives: it has ended the session. */
  nodeLives(lost: LostLink): void;
  nodeGone(lost: LostLink, evidence: Evidence): void;
}

/**
 * A link that served has ended, and not by us. Either the broker has ended it, which is its word to the device, or
 * the node is gone, and then the session moves. The connection's timer is this object's until that is known.
 */
export class LostLink implements Asker {
  readonly target: Target;
  readonly cause: EndCause;
  readonly attachedAtMs: number;
  readonly lostAtMs: number;
  /** False: the device has part of a message that only this node could complete. */
  readonly isWhole: boolean;
  /** The node has ended its side only, and its link is kept: if it lives it may still read. */
  readonly mayRead: boolean;
  /** The device has been silent for so long that its node may have ended it for that: only a proof shows the contrary. */
  readonly isExplained: boolean;
  private readonly connection: Pick<ForwarderHost, 'host' | 'wire'>;
  private owner: LossOwner | undefined;

  constructor(
    connection: Pick<ForwarderHost, 'host' | 'wire'>,
    facts: Pick<LostLink, 'target' | 'cause' | 'attachedAtMs' | 'isWhole' | 'mayRead' | 'isExplained'>,
    owner: LossOwner,
  ) {
    this.connection = connection;
    this.target = facts.target;
    this.cause = facts.cause;
    this.attachedAtMs = facts.attachedAtMs;
    this.isWhole = facts.isWhole;
    this.mayRead = facts.mayRead;
    this.isExplained = facts.isExplained;
    this.lostAtMs = connection.host.now();
    this.owner = owner;
  }

  /** Decides at once, or asks. */
  decide(policy: PoolRoute['moves']['lostLink']): void {
    if (policy !== 'evidence') return this.judged(policy === 'move' ? 'configured' : undefined);
    const evidence = this.cause === 'timeout' ? 'tcp-timeout' : this.connection.host.evidence(this);
    if (evidence !== undefined) return this.judged(evidence);
    this.connection.wire.setTimer(ANSWER_TIMEOUT_MS);
  }

  judged(evidence: Evidence | undefined): void {
    const { owner, isExplained } = this;
    if (owner === undefined) return;
    this.owner = undefined;
    this.connection.wire.setTimer(0);
    this.connection.wire.guard(() =>
      evidence === undefined || (isExplained && !proofs.has(evidence))
        ? owner.nodeLives(this)
        : owner.nodeGone(this, evidence),
    );
  }

  /** No answer came. What the routing table says last decides. */
  timer(): void {
    const evidence = this.connection.host.evidence(this);
    this.connection.host.forget(this);
    this.judged(evidence);
  }

  /** The connection ends meanwhile. */
  forget(): void {
    if (this.owner !== undefined) this.connection.host.forget(this);
    this.owner = undefined;
  }
}
