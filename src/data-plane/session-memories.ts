/** Follows persistent sessions of one worker for the main thread, which remembers them between two connections. */

import type { Connection } from '../connection/connection.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import { deviceOf } from './accepted-clients.ts';

/** What is remembered of a session comes within this time, or mostly not at all (`membership/remembered-sessions.ts`). */
const ANSWER_MS = 2_000;

interface SessionMemoriesOptions {
  readonly now: () => number;
  readonly tell: (event: WorkerEvent) => void;
  /** The longest that a session is remembered, in ms; 0: none is. */
  readonly maxMs: () => number;
  /** Are sessions followed at any listener of this proxy? */
  readonly followsSessions: () => boolean;
}

/**
 * Which connections of this thread have sessions that outlive them: the main thread is told when one begins and ends,
 * and answers what it remembers of a session that is older.
 */
export class SessionMemories {
  private readonly options: SessionMemoriesOptions;
  /** By the numbers of the connections. */
  private readonly open = new Map<number, Connection>();
  /** Of those whose sessions are older: until when an answer is waited for. */
  private readonly asked = new Map<number, number>();

  constructor(options: SessionMemoriesOptions) {
    this.options = options;
  }

  /** The broker has accepted the device. What is relayed is not followed: nothing holds that was remembered before. */
  opened(connection: Connection): void {
    const { number, who, session: forwarder } = connection;
    const { now, tell } = this.options;
    if (!this.isRemembered(connection)) return;
    if (forwarder !== undefined) this.open.set(number, connection);
    const isResumed = forwarder?.session.memory.opening === 'resumed';
    if (isResumed) this.asked.set(number, now() + ANSWER_MS);
    tell({ type: 'session-opened', ...deviceOf(connection), who, connection: number, isResumed });
  }

  private isRemembered({ clientId, session }: Connection): boolean {
    const { maxMs, followsSessions } = this.options;
    if (clientId === '' || maxMs() === 0) return false;
    return session === undefined ? followsSessions() : session.session.memory.opening !== undefined;
  }

  /** It comes from another process, where the main thread was told. */
  revive(connection: Connection): void {
    const { number, session } = connection;
    if (session !== undefined && this.isRemembered(connection)) this.open.set(number, connection);
  }

  /** Another process has it. */
  forget({ number }: Connection): void {
    this.open.delete(number);
    this.asked.delete(number);
  }

  /**
   * Is what the session has about to be known? Until then no node but its own has it whole, and a move could end the
   * connection.
   */
  isAwaiting({ number }: Connection): boolean {
    return this.options.now() < (this.asked.get(number) ?? 0);
  }

  /** It ends. */
  left(connection: Connection): void {
    const { number, who } = connection;
    const session = this.open.get(number)?.session?.session;
    if (session === undefined) return;
    this.open.delete(number);
    this.asked.delete(number);
    const { rest } = session.memory;
    const ttlMs = Math.min((rest?.expirySeconds ?? 0) * 1000, this.options.maxMs());
    const subscriptions = ttlMs > 0 ? rest?.subscriptions : undefined;
    this.options.tell({
      ...{ type: 'session-left', ...deviceOf(connection), who, connection: number },
      ...{ subscriptions, unsubscribed: rest?.unsubscribed, ttlMs },
    });
  }

  /** The answer of the main thread; the connection may be gone. */
  recalled(connection: number, subscriptions: string): void {
    this.asked.delete(connection);
    const opened = this.open.get(connection);
    opened?.wire.guard(() => opened.session?.session.memory.recall(subscriptions));
  }
}
