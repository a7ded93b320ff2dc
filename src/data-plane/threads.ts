import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { createDoorMemory, type DoorMemory, forgetThread } from '../admission/door.ts';
import type { MoveCause } from '../connection/world.ts';
import type { BoundAddress } from '../engine/engine.ts';
import { BreakwaterError, type ErrorCode } from '../errors.ts';
import { systemRandom } from '../time.ts';
import type {
  ClientAnswer,
  ClientFilter,
  Command,
  ListenerSettings,
  MoveTally,
  Report,
  ThreadEvent,
  ThreadSettings,
  ThreadStart,
} from './messages.ts';
import { addTallies } from './move-tally.ts';
import { MAX_LISTENERS } from './routing-table.ts';

/** An answer that a thread owes longer than this is not coming. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Between the death of a thread and its restart, so that one that cannot live does not spin. */
const RESTART_DELAY_MS = 500;
/**
 * A data thread's garbage is what connects leave behind. V8 would let 16 MB and more of it lie in memory before it looks;
 * with less it looks more often, at next to nothing, and an idle device costs half.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };
const WAKE = new Uint8Array(new BigUint64Array([1n]).buffer);

export interface ThreadsOptions {
  readonly count: number;
  readonly engine: 'epoll' | 'node';
  readonly table: SharedArrayBuffer;
  readonly settings: ThreadSettings;
  readonly onEvents: (events: readonly ThreadEvent[], thread: number) => void;
  /** One connection's exception; the thread goes on. */
  readonly onFault: (thread: number, message: string, stack: string | undefined) => void;
  /** A thread died; what it had counted must be given back. It is started again. */
  readonly onDeath: (thread: number, error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly exited: Promise<unknown>;
  wakeFd: number | undefined;
}

/** What a thread was asked and has not answered yet. */
interface Request {
  readonly thread: number;
  readonly resolve: (report: Report) => void;
  readonly reject: (error: Error) => void;
}

/** The data threads as the main thread sees them: starts them, speaks to them, starts again one that dies. */
export class Threads {
  private readonly options: ThreadsOptions;
  private readonly door: DoorMemory;
  /** By number; undefined while a thread is dead. */
  private readonly threads: (Thread | undefined)[] = [];
  private readonly pending = new Map<number, Request>();
  private listeners: readonly ListenerSettings[] = [];
  private requests = 0;
  private verbose = true;
  private accepting = true;
  private closing: Promise<void> | undefined;

  constructor(options: ThreadsOptions) {
    this.options = options;
    this.door = createDoorMemory({
      threads: options.count,
      listeners: MAX_LISTENERS,
      maxConnections: options.settings.limits.maxConnections,
      seed: Math.floor(systemRandom() * 2 ** 32),
    });
  }

  /**
   * Starts every thread and binds the listeners on each. A port 0 is chosen by the first thread and shared.
   * When one thread cannot, all are closed again.
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE
   */
  async start(listeners: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    const [first, ...others] = Array.from({ length: this.options.count }, (_, thread) => thread);
    try {
      const alone = listeners.map((listener) => ({ ...listener, isFirst: true }));
      const bound = await this.startThread(first ?? 0, alone);
      this.listeners = listeners.map((listener, i) => ({
        ...listener,
        port: bound[i]?.port ?? listener.port,
      }));
      await Promise.all(others.map((thread) => this.startThread(thread, this.listeners)));
      return bound;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Rejects, once the thread is gone, when it ends before it listens. */
  private startThread(
    thread: number,
    listeners: readonly ListenerSettings[],
  ): Promise<readonly BoundAddress[]> {
    const { engine, table, count, settings } = this.options;
    const workerData: ThreadStart = { thread, threads: count, table, door: this.door, engine, settings };
    const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData, resourceLimits });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const started: Thread = { worker, exited, wakeFd: undefined };
    this.threads[thread] = started;
    return new Promise((resolve, reject) => {
      let failure = new Error('the thread ended by itself');
      let isListening = false;
      worker.on('error', (error) => {
        failure = error;
      });
      worker.on('exit', () => {
        this.forget(thread);
        if (isListening) this.died(thread, failure);
        else reject(failure);
      });
      worker.on('message', (report: Report) => {
        if (report.type === 'ready') {
          started.wakeFd = report.wakeFd;
          this.tell(thread, { type: 'verbose', on: this.verbose });
          this.tell(thread, { type: 'listen', listeners });
        } else if (report.type === 'listening') {
          isListening = true;
          resolve(report.addresses);
        } else if (report.type === 'failed') {
          failure = new BreakwaterError(report.code as ErrorCode, report.message);
          void worker.terminate();
        } else this.receive(report, thread);
      });
    });
  }

  /** Nothing may be told to a dead thread: its descriptor may by now be another connection's. */
  private forget(thread: number): void {
    this.threads[thread] = undefined;
    for (const request of this.pending.values()) {
      if (request.thread !== thread) continue;
      request.reject(new BreakwaterError('THREAD_UNAVAILABLE', `data thread ${thread} died; try again`));
    }
  }

  private died(thread: number, error: Error): void {
    forgetThread(this.door, thread);
    if (this.closing !== undefined) return;
    this.options.onDeath(thread, error);
    if (this.accepting) setTimeout(() => this.restart(thread), RESTART_DELAY_MS).unref();
  }

  private restart(thread: number): void {
    if (this.closing !== undefined || !this.accepting) return;
    this.startThread(thread, this.listeners).catch((error: Error) => this.died(thread, error));
  }

  private receive(report: Report, thread: number): void {
    if (report.type === 'events') return this.options.onEvents(report.events, thread);
    if (report.type === 'fault') return this.options.onFault(thread, report.message, report.stack);
    if ('request' in report) this.pending.get(report.request)?.resolve(report);
  }

  private tell(thread: number, command: Command): void {
    const target = this.threads[thread];
    if (target === undefined) return;
    target.worker.postMessage(command);
    if (target.wakeFd !== undefined) writeSync(target.wakeFd, WAKE);
  }

  private tellAll(command: Command): void {
    for (const thread of this.threads.keys()) this.tell(thread, command);
  }

  private ask<T extends Report>(thread: number, command: (request: number) => Command): Promise<T> {
    const request = ++this.requests;
    const answer = new Promise<T>((resolve, reject) => {
      this.pending.set(request, { thread, resolve: (report) => resolve(report as T), reject });
    });
    const timeout = setTimeout(() => {
      const message = `data thread ${thread} did not answer within ${REQUEST_TIMEOUT_MS / 1000} s; try again`;
      this.pending.get(request)?.reject(new BreakwaterError('THREAD_UNAVAILABLE', message));
    }, REQUEST_TIMEOUT_MS);
    this.tell(thread, command(request));
    return answer.finally(() => {
      clearTimeout(timeout);
      this.pending.delete(request);
    });
  }

  /** Asks every thread that lives; a dead one has no connections to speak of. */
  private askAll<T extends Report>(command: (request: number) => Command): Promise<T[]> {
    const alive = this.threads.flatMap((thread, index) => (thread === undefined ? [] : [index]));
    return Promise.all(alive.map((thread) => this.ask<T>(thread, command)));
  }

  async clients(filter: ClientFilter): Promise<ClientAnswer> {
    const reports = await this.askAll<Extract<Report, { type: 'clients' }>>((request) => ({
      type: 'clients',
      request,
      filter,
    }));
    return {
      clients: reports.flatMap((report) => report.answer.clients).slice(0, filter.limit),
      total: reports.reduce((sum, report) => sum + report.answer.total, 0),
    };
  }

  /** Asks every thread to look whether the nodes of its sessions still answer. */
  watchNodes(unhealthy: readonly string[]): void {
    this.tellAll({ type: 'watch', unhealthy });
  }

  /** A connection of another thread has this client id now. */
  superseded(thread: number, clientId: string): void {
    this.tell(thread, { type: 'superseded', clientId });
  }

  /** Orders at most so many sessions away from a node: each thread its part, and what one lacks the next ones make up. */
  async moveSome(node: string, count: number, cause: MoveCause, to?: string): Promise<MoveTally> {
    const alive = this.threads.flatMap((thread, index) => (thread === undefined ? [] : [index]));
    const tallies: MoveTally[] = [];
    let left = count;
    for (const [asked, thread] of alive.entries()) {
      const share = Math.ceil(left / (alive.length - asked));
      const { tally } = await this.ask<Extract<Report, { type: 'moved' }>>(thread, (request) => ({
        ...{ type: 'moveSome', request, node, count: share, cause, to },
      }));
      left -= tally.moving + tally.noNode + tally.ended;
      tallies.push(tally);
    }
    return addTallies(tallies);
  }

  /** Moves one device, to a node of that id if one is given. */
  async move(clientId: string, to: string | undefined): Promise<MoveTally> {
    const reports = await this.askAll<Extract<Report, { type: 'moved' }>>((request) => ({
      type: 'move',
      request,
      clientId,
      to,
    }));
    return addTallies(reports.map((report) => report.tally));
  }

  /** Answers a thread's question where a device was served last. */
  recalled(thread: number, request: number, node: string | undefined): void {
    this.tell(thread, { type: 'recalled', request, node });
  }

  /** Ends the connections of a client id; returns how many there were. */
  async kick(clientId: string): Promise<number> {
    const reports = await this.askAll<Extract<Report, { type: 'kicked' }>>((request) => ({
      type: 'kick',
      request,
      clientId,
    }));
    return reports.reduce((sum, report) => sum + report.count, 0);
  }

  /** Whether placed, ended and rejected devices are told one by one. */
  setVerbose(on: boolean): void {
    if (on === this.verbose) return;
    this.verbose = on;
    this.tellAll({ type: 'verbose', on });
  }

  /** A thread that dies from now on is not started again: there is nothing to accept. */
  stopAccepting(): void {
    this.accepting = false;
    this.tellAll({ type: 'stop' });
  }

  /** Ends every connection in order, and then the threads. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    const alive = this.threads.filter((thread) => thread !== undefined);
    this.tellAll({ type: 'endAll', reason: 'shutdown' });
    this.tellAll({ type: 'close' });
    const late = setTimeout(() => {
      for (const { worker } of alive) void worker.terminate();
    }, REQUEST_TIMEOUT_MS);
    await Promise.all(alive.map(({ exited }) => exited));
    clearTimeout(late);
  }
}
