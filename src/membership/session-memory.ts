import type { Clock, Timers } from '../base/time.ts';
import { mergeRest } from '../session/index.ts';
import type { ClientKey, MembershipStore, RestingSession } from './store/store.ts';

/** A connection before may still be ending: it is asked for again after so long each, the last time without waiting for it. */
const RETRY_MS = [250, 1_000, 4_000] as const;
/** What the proxy of a connection before has to say may be late: so long is it waited for after the session was taken. */
const SETTLE_MS = 1_000;
/** A thread has its answer within this time, as far as anybody knows; answers that are kept until then. */
const DELIVERY_MS = 2_000;
const DELIVERED_MAX = 10_000;
/** Commands that wait for the store at one time: enough to keep Redis busy, few enough to leave room for others. */
const IN_FLIGHT_MAX = 128;
/** Commands that wait for their turn, and sessions whose store was away: as many as a proxy commonly has devices. */
const WAITING_MAX = 200_000;

/** A connection of this proxy has a persistent session at the broker. */
export interface OpenedSession extends ClientKey {
  readonly who: number;
  /** Number of the connection. */
  readonly connection: number;
  /** The session is older than the connection: what is remembered of it is asked for. */
  readonly isResumed: boolean;
}

/** That connection has ended. */
export interface LeftSession extends ClientKey {
  readonly who: number;
  readonly connection: number;
  /** Undefined where it is not known, or the session is over. */
  readonly subscriptions: string | undefined;
  /** The connection was not answered, or did not hear it: these are changes to what was remembered before. */
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
 *   opened ──► take ──► settle ──► is it still ours? ──► the connection is answered
 *                └─ an earlier connection has it: again later
 *   left ──► keep: all that the session has; before the answer: what was taken, with the changes
 *
 * So nothing in the store is older than what the device knows. A word of an earlier connection that comes late takes the
 * session away from the one that has it, which is not answered then. Where the store was away when a session was opened,
 * that is made good as soon as it answers.
 */
export function createSessionMemory(options: SessionMemoryOptions) {
  const { start, store, recalled, forgotten, clock, timers } = options;
  const waiting = new Set<() => Promise<void>>();
  let inFlight = 0;
  let onIdle = (): void => {};
  /** Sessions that were opened while the store was away: what it holds of them is out of date. */
  const unsettled = new Map<string, ClientKey & { readonly connection: number }>();
  /** Of connections that are not answered, by their numbers. */
  const questions = new Map<number, Question>();
  const delivered = createDelivered(clock);
  const pending = new Set<unknown>();

  function later(run: () => void, ms: number): void {
    const timer = timers.setTimeout(() => {
      pending.delete(timer);
      run();
    }, ms);
    pending.add(timer);
  }

  function next(): void {
    for (const work of waiting) {
      if (inFlight >= IN_FLIGHT_MAX) return;
      waiting.delete(work);
      inFlight++;
      void work().finally(() => {
        inFlight--;
        next();
      });
    }
    if (inFlight === 0) onIdle();
  }

  /** False where too much waits already. */
  function enqueue(work: () => Promise<void>): boolean {
    if (waiting.size >= WAITING_MAX) return false;
    waiting.add(work);
    next();
    return true;
  }

  const nameOf = (connection: number): string => `${start}-${connection}`;

  function unsettle({ pool, clientId, connection }: ClientKey & { readonly connection: number }): void {
    const key = keyOf({ pool, clientId });
    if (unsettled.has(key) || unsettled.size < WAITING_MAX)
      unsettled.set(key, { pool, clientId, connection });
    else forgotten('backlog', 1);
  }

  /** What the store remembers is for nobody any more. */
  function close(client: ClientKey & { readonly connection: number }): void {
    const work = async (): Promise<void> => {
      try {
        await store.takeSession(client, nameOf(client.connection), true);
        unsettled.delete(keyOf(client));
      } catch {
        unsettle(client);
      }
    };
    if (!enqueue(work)) unsettle(client);
  }

  function ask(question: Question): void {
    if (!enqueue(() => take(question))) giveUp(question);
  }

  /** It is not known what the session has. */
  function giveUp(question: Question): void {
    if (questions.delete(question.connection)) close(question);
  }

  async function take(question: Question): Promise<void> {
    const { connection, who } = question;
    if (questions.get(connection) !== question) return;
    const isFinal = question.attempts === RETRY_MS.length;
    try {
      const found = await store.takeSession(question, nameOf(connection), isFinal);
      if (found === 'in-use') return askLater(question);
      unsettled.delete(keyOf(question));
      if (found === 'unknown' || found.who !== who) return void questions.delete(connection);
      question.before = found.subscriptions;
      if (question.left !== undefined) keepChanged(question, question.left);
      else later(() => void enqueue(() => confirm(question)), SETTLE_MS);
    } catch {
      giveUp(question);
    }
  }

  function askLater(question: Question): void {
    if (question.left !== undefined) return giveUp(question);
    later(() => ask(question), RETRY_MS[question.attempts++] as number);
  }

  /** Nobody else has taken it meanwhile: a connection before would have, if it had more to say. */
  async function confirm(question: Question): Promise<void> {
    const { thread, connection, before } = question;
    if (questions.get(connection) !== question || before === undefined) return;
    const found = await store.takeSession(question, nameOf(connection), false).catch(() => 'in-use');
    if (questions.get(connection) !== question) return;
    if (found !== 'unknown') return giveUp(question);
    questions.delete(connection);
    delivered.add(connection, before);
    recalled(thread, connection, before);
  }

  /** The connection has ended without its answer. */
  function keepChanged(
    { connection, before = '' }: Pick<Question, 'connection' | 'before'>,
    left: LeftSession,
  ): void {
    questions.delete(connection);
    const all = mergeRest(before, left.subscriptions ?? '', left.unsubscribed ?? '');
    if (all === undefined) close(left);
    else keepLater(left, all);
  }

  function keepLater(left: LeftSession, subscriptions: string): void {
    const { who } = left;
    if (!enqueue(() => keep(left, { who, subscriptions }))) forgotten('backlog', 1);
  }

  async function keep(client: LeftSession, session: RestingSession): Promise<void> {
    try {
      await store.keepSession(client, nameOf(client.connection), session, client.ttlMs);
      unsettled.delete(keyOf(client));
    } catch {
      forgotten('store-away', 1);
    }
  }

  return {
    opened(session: OpenedSession, thread: number): void {
      if (!session.isResumed) return close(session);
      const { pool, clientId, who, connection, isResumed } = session;
      const known = { pool, clientId, who, connection, isResumed };
      const question = { ...known, thread, attempts: 0, before: undefined, left: undefined };
      questions.set(connection, question);
      ask(question);
    },

    left(session: LeftSession): void {
      const { connection, subscriptions, unsubscribed } = session;
      const question = questions.get(connection);
      const before = delivered.take(connection);
      if (subscriptions === undefined) {
        questions.delete(connection);
        close(session);
      } else if (unsubscribed === undefined) keepLater(session, subscriptions);
      else if (before !== undefined) keepChanged({ connection, before }, session);
      else if (question === undefined) close(session);
      else if (question.before !== undefined) keepChanged(question, session);
      else if (question.attempts > 0) giveUp(question);
      else question.left = session;
    },

    /** The store answers again. */
    settle(): void {
      const missed = [...unsettled.values()];
      unsettled.clear();
      for (const session of missed) close(session);
    },

    /** Asks nothing more. Resolves when the store has been told everything, or after so long. */
    async stop(timeoutMs: number): Promise<void> {
      for (const timer of pending) timers.clearTimeout(timer);
      if (inFlight === 0) return;
      await new Promise<void>((resolve) => {
        const timer = timers.setTimeout(resolve, timeoutMs);
        onIdle = () => {
          timers.clearTimeout(timer);
          resolve();
        };
      });
    },
  };
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
