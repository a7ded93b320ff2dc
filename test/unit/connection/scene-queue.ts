import type { TurnEnd, TurnQueue, TurnTaker } from '../../../src/connection/turn-queue.ts';

/** Where the session of a scene waits until it may be asked for again; where there is room it does not. */
export class SceneQueue implements TurnQueue {
  taker: TurnTaker | undefined;
  private readonly isFull: boolean;
  private readonly note: (line: string) => void;

  constructor(isFull: boolean, note: (line: string) => void) {
    this.isFull = isFull;
    this.note = note;
  }

  enter(taker: TurnTaker): void {
    this.taker = taker;
    if (this.isFull) this.note(`waits for ${taker.target.nodeId}`);
    else taker.begin();
  }

  leave(taker: TurnTaker, end: TurnEnd): void {
    if (this.isFull) this.note(`turn at ${taker.target.nodeId} over: ${end}`);
    if (this.taker === taker) this.taker = undefined;
  }
}
