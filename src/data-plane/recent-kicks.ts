import type { Clock } from '../base/time.ts';
import type { Command, Whom } from '../data-plane-api/messages.ts';

/** The last kicks: connections that stood still then hear of them when they go on, wherever that is. */

/** A command of that name. */
export type Kick = Pick<Extract<Command, { type: 'kick' }>, 'whom' | 'untilMs'>;
export type Kicks = readonly Kick[];

/** More do not come while a few connections stand still. */
const KICKS_MAX = 1_000;

export class RecentKicks {
  private readonly clock: Clock;
  private readonly kicks: Kick[] = [];
  /** How many there have been: by it `since` knows what is newer. */
  mark = 0;

  /** @param clock the same for all processes */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(whom: Whom): Kick {
    const kick = { whom, untilMs: this.clock.now() };
    this.mark++;
    if (this.kicks.push(kick) > KICKS_MAX) this.kicks.shift();
    return kick;
  }

  /** First to last. */
  since(mark: number): Kicks {
    return mark === this.mark ? [] : this.kicks.slice(mark - this.mark);
  }
}

/** Says again what connections have not heard because they stood still. Nobody waits for the answer. */
export function kickAgain(threads: readonly { tell(command: Command): void }[], kicks: Kicks): void {
  for (const kick of kicks) for (const thread of threads) thread.tell({ type: 'kick', request: 0, ...kick });
}
