import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import { createSealing } from '../membership/store/sealing.ts';
import type { MembershipStore } from '../membership/store/store.ts';
import { deriveMarkKey } from '../policy/cookie-affinity/node-mark.ts';
import { createTicketKeys, type TicketKeys, ticketRing } from './ticket-keys.ts';

/** In heartbeats: how often it is looked whether other proxies have made new ones, or the store has lost them. */
const LOOK_BEATS = 20;
const COOKIE_SECRET = 'cookie-secret';
const SECRET_BYTES = 32;

interface SharedKeysParts {
  readonly config: Pick<Config, 'cluster' | 'membership'>;
  readonly store: Pick<MembershipStore, 'share' | 'kind'>;
  readonly log: Log;
  readonly onTicketKeys: (keys: readonly Uint8Array[]) => void;
  /** What this proxy had before. */
  readonly former: KeysState | undefined;
}

/** Keys that are this proxy's own, for the process after it. */
export const keysState = z.object({ tickets: ticketRing, cookieSecret: z.string().min(1).max(1_000) });
type KeysState = z.output<typeof keysState>;

/** Keys that the proxies of a cluster make themselves and share. */
export class SharedKeys {
  private readonly parts: SharedKeysParts;
  private readonly isShared: boolean;
  private readonly tickets: TicketKeys;
  private readonly timer: NodeJS.Timeout;
  private cookieSecret: string;
  private cookieKeysChanged = (): void => {};

  constructor(parts: SharedKeysParts) {
    const { config, store, onTicketKeys, former } = parts;
    const { cluster, membership } = config;
    this.parts = parts;
    this.isShared = store.kind === 'redis' && membership.signing !== undefined;
    this.tickets = createTicketKeys({
      store,
      sealing: this.isShared && membership.signing ? createSealing(membership.signing, cluster) : undefined,
      clock: { now: Date.now },
      onChange: onTicketKeys,
      former: former?.tickets,
    });
    // Made at the first start of all, and kept in the store. Where there is a secret in the configuration, that is it.
    const own = (): string => former?.cookieSecret ?? randomBytes(SECRET_BYTES).toString('base64');
    this.cookieSecret = membership.signing?.secret ?? own();
    this.timer = setInterval(() => void this.look(), LOOK_BEATS * membership.heartbeatMs).unref();
  }

  /** Calls back when the keys of cookies are others. */
  onCookieKeys(listener: () => void): void {
    this.cookieKeysChanged = listener;
  }

  /** The pool, with the key of its cookies. */
  withCookieKey(pool: PoolConfig): PoolConfig {
    const { persistence, name } = pool;
    if (persistence.by !== 'cookie' || persistence.key !== undefined) return pool;
    const key = deriveMarkKey(this.cookieSecret, this.parts.config.cluster, name);
    return { ...pool, persistence: { ...persistence, key } };
  }

  /** Resolves when they are shared, as far as they can be. */
  async start(): Promise<void> {
    await this.look();
    const { store, log } = this.parts;
    const whose = this.isShared ? 'all proxies of the cluster' : 'this proxy';
    const remedy = store.kind === 'redis' && !this.isShared ? 'membership.secret shares them' : undefined;
    log.info({ of: whose, remedy }, 'ticket keys of TLS are made');
  }

  ticketKeys(): readonly Uint8Array[] {
    return this.tickets.keys();
  }

  describe(): KeysState {
    return { tickets: this.tickets.describe(), cookieSecret: this.cookieSecret };
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** A store that is away is reported elsewhere; the keys stay as they are. */
  private async look(): Promise<void> {
    await Promise.all([this.lookAtCookies(), this.tickets.look()]).catch((error) =>
      this.parts.log.debug({ cause: messageOf(error) }, 'keys are not shared now'),
    );
  }

  private async lookAtCookies(): Promise<void> {
    const { config, store } = this.parts;
    if (config.membership.signing !== undefined) return;
    const there = await store.share(COOKIE_SECRET, this.cookieSecret, this.cookieSecret);
    if (there === this.cookieSecret) return;
    this.cookieSecret = there;
    this.cookieKeysChanged();
  }
}
