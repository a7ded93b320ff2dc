import type { Clock } from '../../base/time.ts';
import { type RedisLink, whyOf } from './redis-link.ts';
import type { SharedMembership, Synced } from './redis-membership.ts';

/** Between two syncs that messages ask for. */
const CHANGE_PAUSE_MS = 10;

interface RedisSyncOptions {
  readonly shared: Pick<SharedMembership, 'sync' | 'version'>;
  readonly link: Pick<RedisLink, 'isUp' | 'fail'>;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** Longest wait for one answer of Redis. */
  readonly commandTimeoutMs: number;
  onSynced(synced: Synced): void;
}

/**
 * When the copy of the membership is compared with Redis: every `heartbeatMs`, and soon after a message that says that
 * something has changed. A Redis that answers, but whose messages do not arrive, is given up like one that is silent.
 */
export class RedisSync {
  private readonly options: RedisSyncOptions;
  private readonly silentTicksMax: number;
  private silentTicks = 0;
  private ticking: NodeJS.Timeout | undefined;
  private waiting: NodeJS.Timeout | undefined;
  private syncedAt = Number.NEGATIVE_INFINITY;
  /** The newest version that was announced since the last sync began; infinity: something else has changed. */
  private wanted = 0;

  constructor(options: RedisSyncOptions) {
    this.options = options;
    this.silentTicksMax = Math.ceil(options.commandTimeoutMs / options.heartbeatMs) + 1;
  }

  /** Brings both together. Resolves when a sync that began after this call is done. */
  readonly refresh = coalesced(() => this.sync());

  /** The first sync of a new connection. */
  async first(): Promise<void> {
    this.silentTicks = 0;
    await this.refresh();
  }

  /** Goes on every heartbeat, until `pause` or the end of the connection. */
  tickLater(): void {
    this.ticking = setTimeout(() => this.tick(), this.options.heartbeatMs);
  }

  pause(): void {
    clearTimeout(this.ticking);
  }

  stop(): void {
    clearTimeout(this.ticking);
    clearTimeout(this.waiting);
  }

  /** A message of this proxy to itself has arrived. */
  heardPulse(): void {
    this.silentTicks = 0;
  }

  /**
   * Whoever says all the time that something has changed makes no more work than this.
   * @param text the version, or a word
   */
  heardChange(text: string): void {
    this.wanted = Math.max(this.wanted, /^\d{1,16}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY);
    const waitMs = this.syncedAt + CHANGE_PAUSE_MS - this.options.clock.now();
    if (waitMs <= 0) this.syncChange();
    else this.waiting ??= setTimeout(() => this.syncChange(), waitMs);
  }

  private syncChange(): void {
    const { link, shared } = this.options;
    this.waiting = undefined;
    if (link.isUp() && this.wanted > shared.version())
      this.refresh().catch((error) => link.fail(whyOf(error)));
  }

  private async sync(): Promise<void> {
    clearTimeout(this.waiting); // what was announced before is seen by this one
    this.waiting = undefined;
    this.wanted = 0;
    this.syncedAt = this.options.clock.now();
    this.options.onSynced(await this.options.shared.sync());
  }

  private async tick(): Promise<void> {
    const { link } = this.options;
    try {
      await this.refresh();
      if (++this.silentTicks > this.silentTicksMax) throw new Error('its messages do not arrive');
      if (link.isUp()) this.tickLater();
    } catch (error) {
      link.fail(whyOf(error));
    }
  }
}

/** Calls while one runs share the next, which begins after them and so sees what they want seen. */
function coalesced(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = (): Promise<void> => {
    next = undefined;
    running = run().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running) next ??= running.catch(() => {}).then(start);
    return next ?? start();
  };
}
