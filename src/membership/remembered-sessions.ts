import type { Clock, Timers } from '../base/time.ts';
import { mergeRest } from '../session/index.ts';
import type { ClientKey, MembershipStore, StoredSession } from './store/store.ts';
import { StoreQueue, WAITING_MAX } from './store-queue.ts';

/**
 * An earlier connection may still be ending: the store is asked again after these times, the last time without
 * waiting for that connection.
 */
const RETRY_MS = [250, 1_000, 4_000] as const;
/** The proxy of an earlier connection may report late: so long is waited after the session was taken. */
const CONFIRM_AFTER_MS = 1_000;
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

interface Question extends OpenedSession {
  readonly thread: number;
  attempts: number;
  /** What was remembered; undefined until it is taken. */
  before: string | undefined;
  /** What the connection has left meanwhile. */
  left: LeftSession | undefined;
}

/**
 * What is remembered of persistent sessions from one connection to the next. A session is taken out of the store when a
 * connection opens it, and put back when that connection ends:
 *
 *   opened ──► take ──► wait ──► is it still ours? ──► the connection is answered
 *                └─ an earlier connection has it: again later
 *   left ──► keep: all that the session has; before the answer: what was taken, with the changes
 *
 * So nothing in the store is older than what the device knows. A word of an earlier connection that comes late takes the
 * session away from the one that has it, which is not answered then. Where the store was away when a session was opened,
 * that is made good as soon as it answers.
 */
export class RememberedSessions {
  private readonly options: SessionMemoryOptions;
  private readonly work: StoreQueue;
  /** Sessions that were opened while the store was away: what it holds of them is out of date. */
  private readonly missed = new Map<string, ClientKey & { readonly connection: number }>();
  /** Of connections that are not answered, by their numbers. */
  private readonly questions = new Map<number, Question>();
  private readonly delivered: ReturnType<typeof createDelivered>;
  private readonly pending = new Set<unknown>();

  constructor(options: SessionMemoryOptions) {
    this.options = options;
    this.work = new StoreQueue(options.timers);
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
    if (!session.isResumed) return this.close(session);
    const { pool, clientId, who, connection, isResumed } = session;
    const known = { pool, clientId, who, connection, isResumed };
    const question = { ...known, thread, attempts: 0, before: undefined, left: undefined };
    this.questions.set(connection, question);
    this.ask(question);
  }

  left(session: LeftSession): void {
    const { connection, subscriptions, unsubscribed } = session;
    const question = this.questions.get(connection);
    const before = this.delivered.take(connection);
    if (subscriptions === undefined) {
      this.questions.delete(connection);
      this.close(session);
    } else if (unsubscribed === undefined) this.keepLater(session, subscriptions);
    else if (before !== undefined) this.keepChanged({ connection, before }, session);
    else if (question === undefined) this.close(session);
    else if (question.before !== undefined) this.keepChanged(question, session);
    else if (question.attempts > 0) this.giveUp(question);
    else question.left = session;
  }

  /** The store answers again: what it holds of sessions that were opened meanwhile is deleted. */
  closeMissed(): void {
    const missed = [...this.missed.values()];
    this.missed.clear();
    for (const session of missed) this.close(session);
  }

  /** Asks nothing more. Resolves when the store has everything, or after so long. */
  async stop(timeoutMs: number): Promise<void> {
    for (const timer of this.pending) this.options.timers.clearTimeout(timer);
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
        await this.options.store.takeSession(client, this.nameOf(client.connection), true);
        this.missed.delete(keyOf(client));
      } catch {
        this.miss(client);
      }
    });
    if (!isQueued) this.miss(client);
  }

  private ask(question: Question): void {
    if (!this.work.add(() => this.take(question))) this.giveUp(question);
  }

  /** Gives the question up: what the session has is unknown. */
  private giveUp(question: Question): void {
    if (this.questions.delete(question.connection)) this.close(question);
  }

  private async take(question: Question): Promise<void> {
    const { connection, who } = question;
    if (this.questions.get(connection) !== question) return;
    const isFinal = question.attempts === RETRY_MS.length;
    try {
      const found = await this.options.store.takeSession(question, this.nameOf(connection), isFinal);
      if (found === 'in-use') return this.askLater(question);
      this.missed.delete(keyOf(question));
      if (found === 'unknown' || found.who !== who) return void this.questions.delete(connection);
      question.before = found.subscriptions;
      if (question.left !== undefined) this.keepChanged(question, question.left);
      else this.later(() => void this.work.add(() => this.confirm(question)), CONFIRM_AFTER_MS);
    } catch {
      this.giveUp(question);
    }
  }

  private askLater(question: Question): void {
    if (question.left !== undefined) return this.giveUp(question);
    this.later(() => this.ask(question), RETRY_MS[question.attempts++] as number);
  }

  /** Nobody else has taken it meanwhile: an earlier connection would have, if it had more to say. */
  private async confirm(question: Question): Promise<void> {
    const { store, recalled } = this.options;
    const { thread, connection, before } = question;
    if (this.questions.get(connection) !== question || before === undefined) return;
    const found = await store.takeSession(question, this.nameOf(connection), false).catch(() => 'in-use');
    if (this.questions.get(connection) !== question) return;
    if (found !== 'unknown') return this.giveUp(question);
    this.questions.delete(connection);
    this.delivered.add(connection, before);
    recalled(thread, connection, before);
  }

  /** The connection has ended without its answer: its changes are applied to what was remembered. */
  private keepChanged(
    { connection, before = '' }: Pick<Question, 'connection' | 'before'>,
    left: LeftSession,
  ): void {
    this.questions.delete(connection);
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

/** No name of a pool has a space. */
function keyOf({ pool, clientId }: ClientKey): string {
  return `${pool} ${clientId}`;
}
