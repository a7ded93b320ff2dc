import type { Clock, Timers } from '../base/time.ts';
import { mergeRest } from '../session/index.ts';
import { fold, insert, keyOf, type Lineage, newestOf, SessionLineages } from './session-lineages.ts';
import type { ClientKey, MembershipStore, StoredSession, TakeHow } from './store/store.ts';
import { StoreQueue, WAITING_MAX } from './store-queue.ts';

/**
 * An earlier connection may still be ending: the store is asked again after these times, the last time without
 * waiting for that connection.
 */
const RETRY_MS = [250, 1_000, 4_000] as const;
/** All connections have left it: words of others, of other data threads, may be heard later by so much. */
const KEEP_AFTER_MS = 100;
/** All connections have left, and an earlier one has the session: so long is waited for that to leave too. */
const ASK_ONCE_MORE_MS = 250;
/**
 * The proxy of an earlier connection may report late: so long is waited after the session was taken. That proxy may have
 * waited itself for another to leave.
 */
const CONFIRM_AFTER_MS = 1_000 + ASK_ONCE_MORE_MS;
/** An older connection that a newer one has taken over is not heard to end: so long is waited for that. */
const ENDING_MS = 5_000;
/** A worker has its answer within this time as far as anybody knows; answers are kept for so long. */
const DELIVERY_MS = 2_000;
const DELIVERED_MAX = 10_000;

/** A connection of this proxy has a persistent session at the broker. */
export interface OpenedSession extends ClientKey {
  readonly who: number;
  /** Number of the connection. */
  readonly connection: number;
  /** The session is older than the connection: what is remembered of it is asked for. */
  readonly isResumed: boolean;
}

/** A connection with a persistent session has ended. */
export interface LeftSession extends ClientKey {
  readonly who: number;
  readonly connection: number;
  /** Undefined where it is not known, or the session is over. */
  readonly subscriptions: string | undefined;
  /** The connection got no answer, or did not hear it: these are changes to what was remembered before. */
  readonly unsubscribed: string | undefined;
  /** How long it is remembered. */
  readonly ttlMs: number;
}

/** `no-room`: the oldest had to go. `store-away`, `backlog`: it was never remembered. */
export type ForgottenBecause = 'no-room' | 'store-away' | 'backlog';

export interface SessionMemoryOptions {
  /** Unique over all proxies and their starts. */
  readonly start: string;
  readonly store: Pick<MembershipStore, 'takeSession' | 'keepSession'>;
  /** Answers a connection of that thread. */
  readonly recalled: (thread: number, connection: number, subscriptions: string) => void;
  readonly forgotten: (because: ForgottenBecause, count: number) => void;
  readonly clock: Clock;
  readonly timers: Timers;
}

/**
 * What is remembered of persistent sessions from one connection to the next. A session is taken out of the store when a
 * connection opens it, and put back when that connection ends:
 *
 *   opened ──► take ──► wait ──► is it still ours? ──► the connection is answered
 *                └─ an earlier connection has it: again later
 *   left ──► keep: all that the session has; before the answer: what was taken, with the changes
 *
 * So nothing in the store is older than what the device knows. Connections of this proxy that come before one is answered
 * belong to one lineage, in whatever order their data threads are heard: the newest speaks for them at the store, and has what
 * the older ones leave. A word of an earlier connection that comes later than that takes the session away from the one that has it, which
 * is not answered then, unless the session began anew since. Where the store was away when a session was opened, that is made good as
 * soon as it answers.
 */
export class RememberedSessions {
  private readonly options: SessionMemoryOptions;
  private readonly work: StoreQueue;
  /** Sessions that were opened while the store was away: what it holds of them is out of date. */
  private readonly missed = new Map<string, ClientKey & { readonly connection: number }>();
  /** Of connections that are not answered. */
  private readonly lineages: SessionLineages<LeftSession>;
  private readonly delivered: ReturnType<typeof createDelivered>;
  private readonly pending = new Set<unknown>();
  private isStopping = false;

  constructor(options: SessionMemoryOptions) {
    this.options = options;
    this.work = new StoreQueue(options.timers);
    this.lineages = new SessionLineages(options.clock);
    this.delivered = createDelivered(options.clock);
  }

  /** By which the store knows connections of this proxy. */
  get start(): string {
    return this.options.start;
  }

  /** For the process after this one: sessions that were opened while the store was away. */
  describeMissed(): (ClientKey & { readonly connection: number })[] {
    return [...this.missed.values()];
  }

  restoreMissed(missed: readonly (ClientKey & { readonly connection: number })[]): void {
    for (const session of missed) this.miss(session);
  }

  opened(session: OpenedSession, thread: number): void {
    const { connection, who, isResumed } = session;
    const overtaken = this.lineages.overtaken(session);
    if (overtaken === 'hidden') return;
    if (!isResumed) this.lineages.begun(session);
    const lineage = this.lineages.of(session);
    const link = { connection, who, thread, isResumed, left: undefined };
    if (overtaken === 'late' || (lineage === undefined && !isResumed)) {
      if (lineage !== undefined) this.lineages.settle(lineage);
      this.close(session);
    } else if (lineage !== undefined) this.join(lineage, link);
    else if (this.lineages.size >= WAITING_MAX) this.close(session);
    else this.ask(this.lineages.begin(session, link), 'first');
  }

  left(session: LeftSession): void {
    const { connection, subscriptions, unsubscribed } = session;
    const before = this.delivered.take(connection);
    const overtaken = this.lineages.overtaken(session);
    if (overtaken === 'hidden') return;
    const lineage = this.lineages.of(session);
    const link = lineage?.links.find((each) => each.connection === connection);
    if (lineage !== undefined && link !== undefined) {
      link.left = session;
      this.plan(lineage);
    } else if (overtaken === 'late' || subscriptions === undefined) this.close(session);
    else if (unsubscribed === undefined) this.keepLater(session, subscriptions);
    else if (before !== undefined) this.keepChanged(session, before);
    else this.close(session);
  }

  /** The store answers again: what it holds of sessions that were opened meanwhile is deleted. */
  closeMissed(): void {
    const missed = [...this.missed.values()];
    this.missed.clear();
    for (const session of missed) this.close(session);
  }

  /** Asks nothing more for connections that are open. Resolves when the store has everything, or after so long. */
  async stop(timeoutMs: number): Promise<void> {
    this.isStopping = true;
    for (const timer of this.pending) this.options.timers.clearTimeout(timer);
    for (const lineage of this.lineages.all()) {
      if (lineage.links.some(({ left }) => left === undefined)) continue;
      if (lineage.isWaiting) this.ask(lineage, 'again');
      else this.plan(lineage);
    }
    await this.work.drained(timeoutMs);
  }

  private later(run: () => void, ms: number): void {
    const timer = this.options.timers.setTimeout(() => {
      this.pending.delete(timer);
      run();
    }, ms);
    this.pending.add(timer);
  }

  private nameOf(connection: number): string {
    return `${this.options.start}-${connection}`;
  }

  private miss({ pool, clientId, connection }: ClientKey & { readonly connection: number }): void {
    const key = keyOf({ pool, clientId });
    if (this.missed.has(key) || this.missed.size < WAITING_MAX)
      this.missed.set(key, { pool, clientId, connection });
    else this.options.forgotten('backlog', 1);
  }

  /** What the store remembers of the session is deleted: it is out of date. */
  private close(client: ClientKey & { readonly connection: number }): void {
    const isQueued = this.work.add(async () => {
      try {
        await this.options.store.takeSession(client, this.nameOf(client.connection), 'anyway');
        this.missed.delete(keyOf(client));
      } catch {
        this.miss(client);
      }
    });
    if (!isQueued) this.miss(client);
  }

  /** A connection comes while others of its client id wait, which may be newer. */
  private join(lineage: Lineage<LeftSession>, link: Lineage<LeftSession>['links'][number]): void {
    const { connection: former } = newestOf(lineage);
    if (!insert(lineage, link)) return this.giveUp(lineage);
    lineage.isEnding = false;
    if (newestOf(lineage) === link) {
      const { isAsking, base, links } = lineage;
      if (!isAsking && base === undefined && links[0]?.isResumed) return this.lose(lineage);
      lineage.attempts = 0;
      this.ask(lineage, isAsking ? 'again' : 'first', former);
    } else if (!link.isResumed) {
      lineage.isAsking = false;
      this.close({ ...lineage, connection: newestOf(lineage).connection });
    }
    this.plan(lineage);
  }

  /** What older connections had is unknown, and so is what this one has: the store must not go on with anything older. */
  private lose(lineage: Lineage<LeftSession>): void {
    lineage.isAsking = false;
    this.close({ ...lineage, connection: newestOf(lineage).connection });
    this.plan(lineage);
  }

  /** What comes next, when nothing else does. */
  private plan(lineage: Lineage<LeftSession>): void {
    const { isAsking, isWaiting } = lineage;
    const round = ++lineage.round;
    const after = (ms: number, run: (lineage: Lineage<LeftSession>) => void): void =>
      this.later(() => {
        if (this.lineages.has(lineage) && lineage.round === round) run.call(this, lineage);
      }, ms);
    const open = lineage.links.filter(({ left }) => left === undefined);
    if (isAsking) {
      if (open.length === 0 && isWaiting) this.askOnceMore(lineage);
    } else if (open.length === 0) {
      if (this.isStopping) this.keepAll(lineage);
      else after(KEEP_AFTER_MS, this.keepAll);
    } else if (this.isStopping) return;
    else if (open.length === 1 && open[0] === newestOf(lineage))
      after(CONFIRM_AFTER_MS, (each) => void this.work.add(() => this.confirm(each)));
    else after(ENDING_MS, this.giveUp);
  }

  /** @param former the connection that spoke for the lineage until now */
  private ask(lineage: Lineage<LeftSession>, how: TakeHow, former?: number): void {
    lineage.isWaiting = false;
    if (!this.work.add(() => this.take(lineage, how, former))) this.giveUp(lineage);
  }

  /** Nobody is told, and whoever else has the session loses it. */
  private giveUp(lineage: Lineage<LeftSession>): void {
    if (this.lineages.has(lineage)) this.lineages.settle(lineage);
    this.close({ ...lineage, connection: newestOf(lineage).connection });
  }

  private async take(lineage: Lineage<LeftSession>, how: TakeHow, former?: number): Promise<void> {
    if (!this.lineages.has(lineage)) return;
    const { connection } = newestOf(lineage);
    const place = former === undefined ? undefined : this.nameOf(former);
    try {
      const found = await this.options.store.takeSession(lineage, this.nameOf(connection), how, place);
      const wasOurs = how === 'first' && former !== undefined;
      if (wasOurs && found !== 'unknown') return this.giveUp(lineage); // another one has come in between
      if (!this.lineages.has(lineage) || !lineage.isAsking) return;
      const isNews = connection === newestOf(lineage).connection;
      if (found === 'in-use') return isNews ? this.askLater(lineage) : undefined;
      if (found === 'unknown' && !isNews) return;
      if (found === 'unknown' && former !== undefined) return this.lose(lineage);
      this.missed.delete(keyOf(lineage));
      lineage.base = found === 'unknown' ? undefined : found;
      lineage.isAsking = false;
      this.plan(lineage);
    } catch {
      if (this.lineages.has(lineage)) this.giveUp(lineage);
    }
  }

  private askLater(lineage: Lineage<LeftSession>): void {
    const { attempts } = lineage;
    const delayMs = RETRY_MS[attempts];
    lineage.attempts++;
    if (lineage.links.every(({ left }) => left !== undefined)) this.askOnceMore(lineage);
    else if (delayMs === undefined) this.giveUp(lineage);
    else this.askAfter(lineage, delayMs, lineage.attempts === RETRY_MS.length ? 'last' : 'again');
  }

  /** All connections of the lineage have ended, and nobody knows whether the one that has the session is older. */
  private askOnceMore(lineage: Lineage<LeftSession>): void {
    if (lineage.isEnding || this.isStopping) return this.giveUp(lineage);
    lineage.isEnding = true;
    this.askAfter(lineage, ASK_ONCE_MORE_MS, 'again');
  }

  private askAfter(lineage: Lineage<LeftSession>, ms: number, how: TakeHow): void {
    const newest = newestOf(lineage);
    lineage.isWaiting = true;
    this.later(() => {
      if (lineage.isWaiting && newestOf(lineage) === newest) this.ask(lineage, how);
    }, ms);
  }

  /** Nobody else has taken it meanwhile: an earlier connection would have, if it had more to say. */
  private async confirm(lineage: Lineage<LeftSession>): Promise<void> {
    const { store, recalled } = this.options;
    const { round } = lineage;
    const { thread, connection } = newestOf(lineage);
    const has = fold(lineage);
    if (!this.lineages.has(lineage)) return;
    if (has === undefined) return this.lineages.settle(lineage);
    const found = await store.takeSession(lineage, this.nameOf(connection), 'first').catch(() => 'in-use');
    if (found !== 'unknown') return this.giveUp(lineage);
    if (!this.lineages.has(lineage) || lineage.round !== round) return;
    this.lineages.settle(lineage);
    this.delivered.add(connection, has.subscriptions);
    recalled(thread, connection, has.subscriptions);
  }

  /** All connections have ended without an answer. */
  private keepAll(lineage: Lineage<LeftSession>): void {
    const { left } = newestOf(lineage);
    const has = fold(lineage);
    this.lineages.settle(lineage);
    if (left !== undefined && has !== undefined) this.keepLater(left, has.subscriptions);
    else if (left !== undefined) this.close(left);
  }

  /** The answer may not have reached the connection: its changes are applied to what was remembered. */
  private keepChanged(left: LeftSession, before: string): void {
    const all = mergeRest(before, left.subscriptions ?? '', left.unsubscribed ?? '');
    if (all === undefined) this.close(left);
    else this.keepLater(left, all);
  }

  private keepLater(left: LeftSession, subscriptions: string): void {
    const { who } = left;
    const isQueued = this.work.add(() => this.keep(left, { who, subscriptions }));
    if (!isQueued) this.options.forgotten('backlog', 1);
  }

  private async keep(client: LeftSession, session: StoredSession): Promise<void> {
    const { store, forgotten } = this.options;
    try {
      await store.keepSession(client, this.nameOf(client.connection), session, client.ttlMs);
      this.missed.delete(keyOf(client));
    } catch {
      forgotten('store-away', 1);
    }
  }
}

/** Answers that may not have reached their connections. */
function createDelivered(clock: Clock) {
  const answers = new Map<number, { readonly subscriptions: string; readonly atMs: number }>();
  const isOver = (atMs: number): boolean => clock.now() - atMs > DELIVERY_MS;
  return {
    add(connection: number, subscriptions: string): void {
      answers.set(connection, { subscriptions, atMs: clock.now() });
      for (const [oldest, { atMs }] of answers) {
        if (answers.size <= DELIVERED_MAX && !isOver(atMs)) break;
        answers.delete(oldest);
      }
    },
    take(connection: number): string | undefined {
      const answer = answers.get(connection);
      answers.delete(connection);
      return answer?.subscriptions;
    },
  };
}
