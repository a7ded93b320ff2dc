/** The order of connections of one client id, whose data threads are heard in any order. */

import type { Clock } from '../base/time.ts';
import { mergeRest } from '../session/index.ts';
import type { ClientKey, StoredSession } from './store/store.ts';

/** More connections in a row that are not answered are not followed. */
const LINKS_MAX = 8;
/** So long it is known that a connection was settled, for words of older ones; and of so many client ids. */
const SETTLED_MS = 5_000;
const SETTLED_MAX = 10_000;

/** What a connection has left, as in `session-left`. */
interface Rest {
  readonly subscriptions: string | undefined;
  readonly unsubscribed: string | undefined;
}

/** A connection of which it is open what its session has. */
interface Link<L extends Rest> {
  /** Its number, which grows with each connection of the proxy, over all threads, up to 2^32 and then from 0. */
  readonly connection: number;
  readonly who: number;
  readonly thread: number;
  readonly isResumed: boolean;
  /** Undefined until it has ended. */
  left: L | undefined;
}

/** Connections of one client id, each of which goes on with what the one before leaves. */
export interface Lineage<L extends Rest> extends ClientKey {
  /** The oldest first, and at least one. */
  readonly links: Link<L>[];
  /** What the oldest began with; undefined where that is not known. */
  base: StoredSession | undefined;
  /** The store has not said what the base is. */
  isAsking: boolean;
  /** An earlier connection has the session: so often the store has said so, and whether it will be asked again. */
  attempts: number;
  isWaiting: boolean;
  /** All connections have left, and the store is asked a last time. */
  isEnding: boolean;
  /** Grows with every change. */
  round: number;
}

interface Numbered extends ClientKey {
  readonly connection: number;
}

/** The newest connection of a client id for which older ones are not waited for any more. */
interface Settled {
  readonly connection: number;
  /** Whatever is said of older ones does not matter: the session began with it. */
  readonly isBegun: boolean;
  readonly atMs: number;
}

/**
 * Each data thread speaks by a port of its own, so the order in which words of two threads are heard says nothing; the numbers
 * of connections do.
 */
export class SessionLineages<L extends Rest> {
  private readonly clock: Clock;
  private readonly lineages = new Map<string, Lineage<L>>();
  /** The one that was settled first comes first. */
  private readonly settled = new Map<string, Settled>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.lineages.size;
  }

  all(): Lineage<L>[] {
    return [...this.lineages.values()];
  }

  of(client: ClientKey): Lineage<L> | undefined {
    return this.lineages.get(keyOf(client));
  }

  has(lineage: Lineage<L>): boolean {
    return this.of(lineage) === lineage;
  }

  begin({ pool, clientId }: ClientKey, link: Link<L>): Lineage<L> {
    const lineage = {
      ...{ pool, clientId, links: [link], base: undefined },
      ...{ isAsking: true, attempts: 0, isWaiting: false, isEnding: false, round: 0 },
    };
    this.lineages.set(keyOf(lineage), lineage);
    return lineage;
  }

  /** Its newest connection is settled, and with it all older ones. */
  settle(lineage: Lineage<L>): void {
    const { pool, clientId } = lineage;
    this.lineages.delete(keyOf(lineage));
    this.overtake({ pool, clientId, connection: newestOf(lineage).connection }, false);
  }

  /** The session began with that connection: what was before does not matter any more. */
  begun(client: Numbered): void {
    const lineage = this.of(client);
    const newer = lineage?.links.filter(({ connection }) => isOlder(client.connection, connection));
    if (newer?.length === 0) this.lineages.delete(keyOf(client));
    else lineage?.links.splice(0, lineage.links.length - (newer?.length ?? 0));
    this.overtake(client, true);
  }

  private overtake(client: Numbered, isBegun: boolean): void {
    const { connection } = client;
    const key = keyOf(client);
    const known = this.settled.get(key);
    if (known !== undefined && isOlder(connection, known.connection)) return;
    const atMs = this.clock.now();
    this.settled.delete(key);
    this.settled.set(key, { connection, isBegun, atMs });
    for (const [first, oldest] of this.settled) {
      if (this.settled.size <= SETTLED_MAX && atMs - oldest.atMs <= SETTLED_MS) break;
      this.settled.delete(first);
    }
  }

  /**
   * A word of that connection comes when a newer one is settled. `hidden`: it does not matter. `late`: what the newer one has may be
   * wrong without it.
   */
  overtaken(client: Numbered): 'hidden' | 'late' | undefined {
    const newest = this.settled.get(keyOf(client));
    if (newest === undefined || !isOlder(client.connection, newest.connection)) return undefined;
    return newest.isBegun ? 'hidden' : 'late';
  }
}

/** False where there are too many already. */
export function insert<L extends Rest>({ links }: Lineage<L>, link: Link<L>): boolean {
  if (links.length >= LINKS_MAX) return false;
  const behind = links.findIndex(({ connection }) => isOlder(link.connection, connection));
  links.splice(behind < 0 ? links.length : behind, 0, link);
  return true;
}

export function newestOf<L extends Rest>({ links }: Lineage<L>): Link<L> {
  return links.at(-1) as Link<L>;
}

/**
 * What the session has after all that have left it; undefined where that is not known. Another `who` has another session, though
 * under the same client id.
 */
export function fold<L extends Rest>(lineage: Lineage<L>): StoredSession | undefined {
  let known = lineage.base;
  for (const { who, isResumed, left } of lineage.links) {
    if (isResumed && known?.who !== who) known = undefined;
    if (left !== undefined) known = afterwards(known?.subscriptions, who, left);
  }
  return known;
}

function afterwards(
  before: string | undefined,
  who: number,
  { subscriptions, unsubscribed }: Rest,
): StoredSession | undefined {
  if (subscriptions === undefined) return undefined;
  if (unsubscribed === undefined) return { who, subscriptions };
  const all = before === undefined ? undefined : mergeRest(before, subscriptions, unsubscribed);
  return all === undefined ? undefined : { who, subscriptions: all };
}

/** Of two connections of a proxy, however often their numbers have begun anew. */
function isOlder(connection: number, than: number): boolean {
  return ((connection - than) | 0) < 0;
}

/** No name of a pool has a space. */
export function keyOf({ pool, clientId }: ClientKey): string {
  return `${pool} ${clientId}`;
}
