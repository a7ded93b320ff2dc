/** The part of the Redis store that remembers persistent sessions between two connections. */

import type { Codec } from './codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { scripts } from './redis-scripts.ts';
import { type ClientKey, SESSION_OWNER_MS, type StoredSession, type TakeHow } from './store.ts';

interface SessionsOptions {
  readonly keys: RedisKeys;
  readonly codec: Codec;
  readonly run: RunScript;
  /** Until when a command may be carried out, by Redis's clock. */
  deadline(): number;
}

/** What is remembered of persistent sessions while no connection has them. */
export function createSessions({ keys, codec, run, deadline }: SessionsOptions) {
  const nameOf = ({ pool, clientId }: ClientKey): string => `${pool} ${clientId}`;

  return {
    async take(
      client: ClientKey,
      connection: string,
      how: TakeHow,
      former = '',
    ): Promise<StoredSession | 'unknown' | 'in-use'> {
      const args = [deadline(), connection, how, SESSION_OWNER_MS, former];
      const reply = await run(scripts.takeSession, [keys.session(client)], args);
      if (typeof reply !== 'string') return reply === 1 ? 'in-use' : 'unknown';
      const place = { key: 'session', field: nameOf(client) };
      return codec.read('session', reply, place) ?? 'unknown';
    },

    async keep(
      client: ClientKey,
      connection: string,
      session: StoredSession,
      ttlMs: number,
    ): Promise<boolean> {
      const text = codec.write('session', session, nameOf(client));
      const args = [deadline(), connection, text, Math.ceil(ttlMs)];
      return (await run(scripts.keepSession, [keys.session(client)], args)) === 1;
    },
  };
}
