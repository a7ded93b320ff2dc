import type { ConnectionHost, DialFailure } from './connection-host.ts';
import type { TurnEnd, TurnQueue, TurnTaker } from './turn-queue.ts';
import type { Target, Wire } from './wire.ts';

/**
 * How a failure ends the turn for those who wait at the node. A failure of this machine, or of TLS, tells them
 * nothing.
 */
export function turnEndOf(failure: DialFailure): TurnEnd {
  switch (failure) {
    case 'refused':
    case 'timeout':
    case 'unreachable':
    case 'connack-timeout':
      return 'gone';
    case 'busy':
    case 'closed-before-connack':
      return 'busy';
    default:
      return 'left';
  }
}

/** The search that waits. */
export interface TurnHost {
  readonly connection: {
    readonly wire: Pick<Wire, 'setTimer' | 'guard'>;
    readonly host: Pick<ConnectionHost, 'now' | 'random'>;
  };
  /** How long to wait where the pool has another node to ask, and where it has none. */
  readonly turnPatienceMs: { readonly here: number; readonly last: number };
  waited(ms: number): void;
  dial(): void;
  /** Ends this turn for one at the next candidate; false when there is none. */
  queueElsewhere(): boolean;
}

/**
 * The wait for a turn at one node, and the turn. Until it begins the timer is this object's. Nobody waits for ever: after
 * a time the next node is waited for, and where there is none the session is asked for all the same.
 */
export class Turn implements TurnTaker {
  readonly target: Target;
  private readonly host: TurnHost;
  private readonly queue: TurnQueue;
  private state: 'waiting' | 'last' | 'begun' | 'over' = 'waiting';
  private readonly enteredAtMs: number;

  constructor(host: TurnHost, queue: TurnQueue, target: Target) {
    this.host = host;
    this.queue = queue;
    this.target = target;
    this.enteredAtMs = host.connection.host.now();
  }

  enter(): void {
    this.waitFor(this.host.turnPatienceMs.here);
    this.queue.enter(this);
  }

  /** A part of the wait is random, so that those who wait together do not give up together. */
  private waitFor(ms: number): void {
    const { wire, host } = this.host.connection;
    wire.setTimer(ms * (0.5 + host.random() / 2));
  }

  timer(): void {
    if (this.state === 'waiting') return this.goElsewhere();
    if (this.state !== 'last') return;
    this.end('left');
    this.dial();
  }

  goElsewhere(): void {
    if (this.state !== 'waiting') return;
    this.host.connection.wire.guard(() => {
      if (this.host.queueElsewhere()) return;
      this.state = 'last';
      this.waitFor(this.host.turnPatienceMs.last);
    });
  }

  begin(): void {
    this.state = 'begun';
    this.host.connection.wire.guard(() => this.dial());
  }

  private dial(): void {
    this.host.waited(this.host.connection.host.now() - this.enteredAtMs);
    this.host.dial();
  }

  end(end: TurnEnd): void {
    if (this.state === 'over') return;
    this.state = 'over';
    this.queue.leave(this, end);
  }
}
