import type { Accepted } from '../data-plane-api/messages.ts';

/** Tells a worker that the broker has accepted a connection newer than those that it accepted until `sinceMs`. */
type Supersede = (thread: number, accepted: Accepted) => void;

/** Client ids whose newest connection has ended, for reports of older ones that come late; beyond it the one that ended first is forgotten. */
const ENDED_MAX = 10_000;

interface Owner {
  readonly thread: number;
  /** When the broker accepted its connection, by a clock that all threads share. */
  readonly sinceMs: number;
  readonly who: number;
}

/**
 * Where there are several workers: which of them has the newest connection of each client id in each pool, in
 * whatever order the reports come. The worker of an older connection is told, so that it recognises a takeover
 * (rule 14).
 */
export function createOwners(supersede: Supersede) {
  const owners = new Map<string, Owner>();
  const ended = new Map<string, Owner>();

  function end(key: string, owner: Owner): void {
    owners.delete(key);
    if ((ended.get(key)?.sinceMs ?? 0) > owner.sinceMs) return;
    ended.delete(key);
    ended.set(key, owner);
    const [oldest = ''] = ended.keys();
    if (ended.size > ENDED_MAX) ended.delete(oldest);
  }

  return {
    owned(thread: number, { pool, clientId, who, sinceMs }: Accepted): void {
      const key = keyOf(pool, clientId);
      const known = owners.get(key);
      const last = ended.get(key);
      if (last !== undefined && last.thread !== thread && last.sinceMs > sinceMs)
        supersede(thread, { pool, clientId, who: last.who, sinceMs });
      const isNewest = known === undefined || known.sinceMs <= sinceMs;
      if (isNewest) owners.set(key, { thread, sinceMs, who });
      if (known === undefined || known.thread === thread) return;
      if (isNewest) supersede(known.thread, { pool, clientId, who, sinceMs: known.sinceMs });
      else supersede(thread, { pool, clientId, who: known.who, sinceMs });
    },
    disowned(thread: number, pool: string, clientId: string): void {
      const key = keyOf(pool, clientId);
      const owner = owners.get(key);
      if (owner?.thread === thread) end(key, owner);
    },
    /** A thread has died, and its connections with it. */
    forget(thread: number): void {
      for (const [key, owner] of owners) if (owner.thread === thread) owners.delete(key);
    },
  };
}

export type Owners = ReturnType<typeof createOwners>;

/** No name of a pool has a space. */
function keyOf(pool: string, clientId: string): string {
  return `${pool} ${clientId}`;
}
