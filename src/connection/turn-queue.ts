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
 * How a question ended. `answered`: by CONNACK. `busy`: the node cannot take more at present. `gone`: there is no
 * node. `left`: nothing is known, or the answer is not wanted any longer.
 */
export type TurnEnd = 'answered' | 'busy' | 'gone' | 'left';

/**
 * Limits how many sessions one node is asked for at a time to what the node can stand, first come, first served
 * (rule 20).
 */
export interface TurnQueue {
  /** Calls `begin` when it is its turn: at once, or later. */
  enter(taker: TurnTaker): void;
  /** The question, or the wait for it, is over. Call it once for each `enter`, while `target` is the same. */
  leave(taker: TurnTaker, end: TurnEnd): void;
}
