import type { Target } from './wire.ts';

/**
 * What shows that a node is gone. Without it the end of a link counts as the word of the broker
 * (`docs/decisions/0009`).
 */
export const evidences = [
  /** TCP gave the link up: for its whole time nothing was acknowledged. */
  'tcp-timeout',
  /** The node was unhealthy before the link ended. */
  'unhealthy',
  /** It is drained or disabled, or its name does not resolve. */
  'leaving',
  'removed',
  /** Its port refuses a probe of ours. */
  'refused',
  /** A probe of ours finds nobody there who speaks MQTT, within a second. */
  'no-answer',
  /** Links of several devices ended together. */
  'together',
  /** A CONNECT of ours that was given up, in an earlier search, has taken the session from the node. */
  'own-connect',
  /** `upstream.lostLink: move` asks for none. */
  'configured',
] as const;
export type Evidence = (typeof evidences)[number];

/** Nothing but the death of the node explains these. A probe that finds nobody may have met a node that is busy. */
export const proofs: ReadonlySet<Evidence> = new Set(['tcp-timeout', 'refused']);

/** A session that waits for its turn to send packets again that a node may have died of. */
export interface Defendant {
  /** It is its turn. */
  begin(): void;
}

export interface TrialQueue {
  /** Calls `begin` when it is its turn: at once, or later. */
  enter(defendant: Defendant, nodeId: string): void;
  leave(defendant: Defendant, nodeId: string): void;
}

/** Who wants to know whether the node of a link that has ended is gone. */
export interface Asker {
  readonly target: Target;
  /** When the node took the session, on the host's clock. */
  readonly attachedAtMs: number;
  /** The answer; undefined: there is nothing against the node. Only the first one counts. */
  judged(evidence: Evidence | undefined): void;
}
