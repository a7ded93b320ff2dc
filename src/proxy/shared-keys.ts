import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import { createSealing } from '../membership/store/sealing.ts';
import type { MembershipStore } from '../membership/store/store.ts';
import { deriveMarkKey } from '../policy/cookie-affinity/node-mark.ts';
import { createTicketKeys, ticketRing } from './ticket-keys.ts';

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
export function createSharedKeys({ config, store, log, onTicketKeys, former }: SharedKeysParts) {
  const { cluster, membership } = config;
  const isShared = store.kind === 'redis' && membership.signing !== undefined;
  const tickets = createTicketKeys({
    store,
    sealing: isShared && membership.signing ? createSealing(membership.signing, cluster) : undefined,
    clock: { now: Date.now },
    onChange: onTicketKeys,
    former: former?.tickets,
  });
  let onCookieKeys = (): void => {};
  /** Made at the first start of all, and kept in the store. Where there is a secret in the configuration, that is it. */
  const own = (): string => former?.cookieSecret ?? randomBytes(SECRET_BYTES).toString('base64');
  let cookieSecret = membership.signing?.secret ?? own();

  async function lookAtCookies(): Promise<void> {
    if (membership.signing !== undefined) return;
    const there = await store.share(COOKIE_SECRET, cookieSecret, cookieSecret);
    if (there === cookieSecret) return;
    cookieSecret = there;
    onCookieKeys();
  }

  /** A store that is away is reported elsewhere; the keys stay as they are. */
  async function look(): Promise<void> {
    await Promise.all([lookAtCookies(), tickets.look()]).catch((error) =>
      log.debug({ cause: messageOf(error) }, 'keys are not shared now'),
    );
  }

  const timer = setInterval(() => void look(), LOOK_BEATS * membership.heartbeatMs).unref();
  return {
    /** Calls back when the keys of cookies are others. */
    onCookieKeys(listener: () => void): void {
      onCookieKeys = listener;
    },
    /** The pool, with the key of its cookies. */
    withCookieKey(pool: PoolConfig): PoolConfig {
      const { persistence, name } = pool;
      if (persistence.by !== 'cookie' || persistence.key !== undefined) return pool;
      return { ...pool, persistence: { ...persistence, key: deriveMarkKey(cookieSecret, cluster, name) } };
    },
    /** Resolves when they are shared, as far as they can be. */
    async start(): Promise<void> {
      await look();
      const whose = isShared ? 'all proxies of the cluster' : 'this proxy';
      const remedy = store.kind === 'redis' && !isShared ? 'membership.secret shares them' : undefined;
      log.info({ of: whose, remedy }, 'ticket keys of TLS are made');
    },
    ticketKeys: tickets.keys,
    describe: (): KeysState => ({ tickets: tickets.describe(), cookieSecret }),
    stop: () => clearInterval(timer),
  };
}
