import type { Clock } from '../../base/time.ts';
import type { SessionsState } from './memory-state.ts';
import { SESSION_OWNER_MS, type StoredSession, type TakeHow } from './store.ts';

/** Of an entry besides its texts: the entry of the map, the object, and the strings' heads. */
const ENTRY_BYTES = 240;

interface Entry {
  /** The last connection that has taken the session. */
  readonly connection: string;
  /** Undefined while a connection has it. */
  readonly session: StoredSession | undefined;
  /** The one connection that waits for it: of what it changes meanwhile, a third one knows nothing. */
  readonly next: string | undefined;
  readonly endsAt: number;
}

export interface StoredBounds {
  /** Asked each time, because a reload may change it. Beyond it the longest untouched is forgotten. */
  readonly maxBytes: () => number;
  /** So many have been. */
  readonly onForgotten: (count: number) => void;
}

/** The sessions of `MembershipStore.takeSession` in this process, in the order in which they were last touched. */
export function createStoredSessions(clock: Clock, { maxBytes, onForgotten }: StoredBounds) {
  const entries = new Map<string, Entry>();
  let bytes = 0;

  function drop(key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    bytes -= sizeOf(key, entry);
    entries.delete(key);
  }

  function put(key: string, entry: Entry): void {
    drop(key);
    entries.set(key, entry);
    bytes += sizeOf(key, entry);
    let forgotten = 0;
    for (const [oldest, { session, endsAt }] of entries) {
      const isOver = endsAt <= clock.now();
      if (bytes <= maxBytes() && !isOver) break;
      drop(oldest);
      if (session !== undefined && !isOver) forgotten++;
    }
    if (forgotten > 0) onForgotten(forgotten);
  }

  function at(key: string): Entry | undefined {
    const entry = entries.get(key);
    return entry !== undefined && entry.endsAt > clock.now() ? entry : undefined;
  }

  /** Has `connection` the place of `former` now? Not where another one waits for that to leave, or has come in between. */
  function replace(key: string, connection: string, former: string): boolean {
    const entry = at(key);
    if (entry?.next === former) put(key, { ...entry, next: connection });
    else if (entry?.connection === former && entry.next === undefined) put(key, { ...entry, connection });
    else return false;
    return true;
  }

  return {
    /** For the process after this one. */
    describe(): SessionsState {
      const now = clock.now();
      return [...entries].map(([key, { endsAt, ...entry }]) => ({ ...entry, key, msLeft: endsAt - now }));
    },
    restore(state: SessionsState): void {
      for (const { key, msLeft, ...entry } of state)
        if (!entries.has(key))
          put(key, { session: undefined, next: undefined, ...entry, endsAt: clock.now() + msLeft });
    },
    take(
      key: string,
      connection: string,
      how: TakeHow,
      former?: string,
    ): StoredSession | 'unknown' | 'in-use' {
      const endsAt = clock.now() + SESSION_OWNER_MS;
      const taken = { connection, session: undefined, next: undefined, endsAt };
      if (former !== undefined && !replace(key, connection, former)) {
        put(key, taken);
        return how === 'first' ? 'in-use' : 'unknown';
      }
      const entry = at(key);
      if ((how === 'again' || how === 'last') && entry?.next !== connection) return 'unknown';
      const isNext = entry?.next === undefined || entry.next === connection;
      const waits = how === 'first' || how === 'again';
      if (waits && entry !== undefined && entry.session === undefined) {
        if (entry.connection === connection) return 'unknown';
        if (isNext) {
          put(key, { ...entry, next: connection });
          return 'in-use';
        }
      }
      put(key, taken);
      if (!isNext && waits) return 'in-use';
      return (isNext ? entry?.session : undefined) ?? 'unknown';
    },
    keep(key: string, connection: string, session: StoredSession, ttlMs: number): boolean {
      const entry = at(key);
      const isMine = entry === undefined || entry.connection === connection;
      if (isMine) put(key, { connection, session, next: entry?.next, endsAt: clock.now() + ttlMs });
      else put(key, { ...entry, session: undefined });
      return isMine;
    },
  };
}

function sizeOf(key: string, { connection, session }: Entry): number {
  return ENTRY_BYTES + key.length + connection.length + (session?.subscriptions.length ?? 0);
}
