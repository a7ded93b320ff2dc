import type { Accepted } from '../data-plane-api/messages.ts';

/** Tells a worker that the broker has accepted a connection newer than those that it accepted until `sinceMs`. */
type Supersede = (thread: number, accepted: Accepted) => void;

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
  return {
    owned(thread: number, { pool, clientId, who, sinceMs }: Accepted): void {
      const key = keyOf(pool, clientId);
      const known = owners.get(key);
      const isNewest = known === undefined || known.sinceMs <= sinceMs;
      if (isNewest) owners.set(key, { thread, sinceMs, who });
      if (known === undefined || known.thread === thread) return;
      if (isNewest) supersede(known.thread, { pool, clientId, who, sinceMs: known.sinceMs });
      else supersede(thread, { pool, clientId, who: known.who, sinceMs });
    },
    disowned(thread: number, pool: string, clientId: string): void {
      const key = keyOf(pool, clientId);
      if (owners.get(key)?.thread === thread) owners.delete(key);
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
