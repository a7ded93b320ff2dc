import type { Defendant } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { Target } from './wire.ts';

/** The last living node is not risked at once: the node that died may start again. */
const LONELY_MS = 2_000;
/** The longest wait for the trials of other sessions. */
const QUEUE_MS = 5_000;
/** A node that dies within this time may have died of the packets that were sent again. */
const MOMENT_MS = 1_000;

/**
 * Sends again, at its turn, what the session had under way to a node that died: `tryAgain` is called once. Until then the
 * connection's timer is this object's.
 */
export class Trial implements Defendant {
  private readonly connection: Pick<ForwarderHost, 'wire' | 'host'>;
  private readonly node: Target;
  private readonly tryAgain: () => void;
  private state: 'lonely' | 'queued' | 'begun' | 'over';
  private beganAtMs = 0;

  /** @param othersLive the pool has nodes besides this one and the one that died */
  constructor(
    connection: Pick<ForwarderHost, 'wire' | 'host'>,
    node: Target,
    othersLive: boolean,
    tryAgain: () => void,
  ) {
    this.connection = connection;
    this.node = node;
    this.tryAgain = tryAgain;
    this.state = 'lonely';
    if (othersLive) this.timer();
    else connection.wire.setTimer(LONELY_MS);
  }

  get isWaiting(): boolean {
    return this.state === 'lonely' || this.state === 'queued';
  }

  /** Is it still to begin, or may the node still be found to have died of it? */
  get isOpen(): boolean {
    return this.isWaiting || (this.state === 'begun' && this.isFresh);
  }

  private get isFresh(): boolean {
    return this.connection.host.now() - this.beganAtMs < MOMENT_MS;
  }

  timer(): void {
    if (this.state === 'queued') return this.begin();
    this.state = 'queued';
    this.connection.wire.setTimer(QUEUE_MS);
    this.connection.host.trials.enter(this, this.node.nodeId);
  }

  begin(): void {
    if (this.state !== 'queued') return;
    this.state = 'begun';
    this.beganAtMs = this.connection.host.now();
    this.connection.wire.guard(this.tryAgain);
  }

  /** The node has answered, or is lost. Returns whether it may have died of what was sent again. */
  end(): boolean {
    const { host } = this.connection;
    const isSudden = this.state === 'begun' && this.isFresh;
    this.state = 'over';
    host.trials.leave(this, this.node.nodeId);
    return isSudden;
  }
}
