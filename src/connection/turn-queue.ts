import type { Target } from './wire.ts';

/** A session that waits until it may be asked for at a node. */
export interface TurnTaker {
  readonly target: Target;
  /** It is its turn. */
  begin(): void;
  /** The node that it waits for is gone, or seems to be. */
  goElsewhere(): void;
}

/**
 * How a question ended. `answered`: by CONNACK. `busy`: the node cannot now. `gone`: there is no node. `left`: nothing is
 * known, or nobody wants to know any more.
 */
export type TurnEnd = 'answered' | 'busy' | 'gone' | 'left';

/** Lets so many sessions be asked for at each node as it can stand, first come, first served (rule 20). */
export interface TurnQueue {
  /** Calls `begin` when it is its turn: at once, or later. */
  enter(taker: TurnTaker): void;
  /** The question is over, or the wait for it. To be told once for each `enter`, while `target` is the same. */
  leave(taker: TurnTaker, end: TurnEnd): void;
}
