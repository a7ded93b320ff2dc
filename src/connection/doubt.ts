import type { ConnectionHost } from './connection-host.ts';
import type { Asker, Evidence } from './evidence.ts';
import type { Target } from './wire.ts';

/** So many probes in a row must be unanswered where the device can wait. What comes with a late CONNACK would be lost. */
const UNANSWERED_PROBES = 2;

/** Who tries the node. */
export interface DoubtHost {
  readonly target: Target;
  /** Can the device wait? */
  readonly waits: boolean;
  readonly connection: { readonly host: Pick<ConnectionHost, 'now' | 'evidence' | 'forget'> };
  /** Evidence that has come later than `Doubt.ask`. */
  judged(evidence: Evidence): void;
}

/** Asks whether a node that has CONNECT, and has not answered, is gone, or is only busy. */
export class Doubt implements Asker {
  readonly target: Target;
  /** What was found before then does not count, or has been counted. */
  attachedAtMs: number;
  private readonly owner: DoubtHost;
  private isAsked = false;
  private unanswered = 0;

  constructor(owner: DoubtHost, dialledAtMs: number) {
    this.owner = owner;
    this.target = owner.target;
    this.attachedAtMs = dialledAtMs;
  }

  /** Was the last probe not answered? */
  get isUnanswered(): boolean {
    return this.unanswered > 0;
  }

  /**
   * The evidence where it is known; else `judged` of the owner may follow. What was known before of a node need not be why
   * it is slow, and counts only where it `isLate`.
   */
  ask(isLate: boolean): Evidence | undefined {
    const { host } = this.owner.connection;
    if (this.isUnanswered) this.attachedAtMs = host.now();
    const known = host.evidence(this);
    if (known !== undefined) this.forget();
    this.isAsked = known === undefined;
    const isProof = known === 'refused' || known === 'no-answer';
    return isProof || isLate ? this.weighed(known) : undefined;
  }

  /** A look of the thread at the node has ended; undefined: it lives. */
  judged(evidence: Evidence | undefined): void {
    this.isAsked = false;
    if (evidence === undefined) this.unanswered = 0;
    const weighed = this.weighed(evidence);
    if (weighed !== undefined) this.owner.judged(weighed);
  }

  private weighed(evidence: Evidence | undefined): Evidence | undefined {
    if (evidence !== 'no-answer') return evidence;
    this.unanswered++;
    return this.owner.waits && this.unanswered < UNANSWERED_PROBES ? undefined : evidence;
  }

  /** The answer is not wanted any more. */
  forget(): void {
    if (this.isAsked) this.owner.connection.host.forget(this);
    this.isAsked = false;
  }
}
