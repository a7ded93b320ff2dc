import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { BoundAddress } from '../engine/engine.ts';
import { BreakwaterError, type ErrorCode } from '../errors.ts';
import type {
  ClientAnswer,
  ClientFilter,
  Command,
  ListenerSettings,
  Report,
  ThreadEvent,
  ThreadSettings,
  ThreadStart,
} from './messages.ts';

/** An answer that a thread owes longer than this is not coming. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Between the death of a thread and its restart, so that one that cannot live does not spin. */
const RESTART_DELAY_MS = 500;
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
  worker: Worker;
  wakeFd: number | undefined;
}

/** The data threads as the main thread sees them: starts them, speaks to them, starts again one that dies. */
export class Threads {
  private readonly options: ThreadsOptions;
  private readonly threads: Thread[] = [];
  private readonly pending = new Map<
    number,
    { resolve: (report: Report) => void; reject: (error: Error) => void }
  >();
  private listeners: readonly ListenerSettings[] = [];
  private requests = 0;
  private verbose = true;
  private stopping = false;

  constructor(options: ThreadsOptions) {
    this.options = options;
  }

  /**
   * Starts every thread and binds the listeners on each. A port 0 is chosen by the first thread and shared.
   * @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE
   */
  async start(listeners: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    const [first, ...others] = Array.from({ length: this.options.count }, (_, thread) => thread);
    const bound = await this.startThread(first ?? 0, listeners);
    this.listeners = listeners.map((listener, i) => ({ ...listener, port: bound[i]?.port ?? listener.port }));
    await Promise.all(others.map((thread) => this.startThread(thread, this.listeners)));
    return bound;
  }

  private startThread(
    thread: number,
    listeners: readonly ListenerSettings[],
  ): Promise<readonly BoundAddress[]> {
    const { engine, table, count, settings, onDeath } = this.options;
    const workerData: ThreadStart = { thread, threads: count, table, engine, settings };
    const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData });
    this.threads[thread] = { worker, wakeFd: undefined };
    return new Promise((resolve, reject) => {
      let failure = new Error('the thread ended by itself');
      worker.on('error', (error) => {
        failure = error;
      });
      worker.on('exit', () => {
        if (this.stopping) return;
        reject(failure);
        onDeath(thread, failure);
        setTimeout(() => this.restart(thread), RESTART_DELAY_MS).unref();
      });
      worker.on('message', (report: Report) => {
        if (report.type === 'ready') {
          this.threads[thread] = { worker, wakeFd: report.wakeFd };
          this.tell(thread, { type: 'verbose', on: this.verbose });
          this.tell(thread, { type: 'listen', listeners });
        } else if (report.type === 'listening') resolve(report.addresses);
        else if (report.type === 'failed')
          reject(new BreakwaterError(report.code as ErrorCode, report.message));
        else this.receive(thread, report);
      });
    });
  }

  private restart(thread: number): void {
    if (this.stopping) return;
    this.startThread(thread, this.listeners).catch((error: Error) => {
      // A death has been told; a listener that cannot be bound again has not.
      if (error instanceof BreakwaterError) this.options.onFault(thread, error.message, undefined);
    });
  }

  private receive(thread: number, report: Report): void {
    if (report.type === 'events') return this.options.onEvents(report.events, thread);
    if (report.type === 'fault') return this.options.onFault(thread, report.message, report.stack);
    if ('request' in report) {
      this.pending.get(report.request)?.resolve(report);
      this.pending.delete(report.request);
    }
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

  /** Asks every thread, and gathers the answers. @throws BreakwaterError THREAD_UNAVAILABLE */
  private askAll<T extends Report>(command: (request: number) => Command): Promise<T[]> {
    return Promise.all(
      [...this.threads.keys()].map((thread) => {
        const request = ++this.requests;
        return new Promise<T>((resolve, reject) => {
          const timeout = setTimeout(() => {
            this.pending.delete(request);
            const message = `data thread ${thread} did not answer within ${REQUEST_TIMEOUT_MS / 1000} s; try again`;
            reject(new BreakwaterError('THREAD_UNAVAILABLE', message));
          }, REQUEST_TIMEOUT_MS);
          const done = (report: Report): void => {
            clearTimeout(timeout);
            resolve(report as T);
          };
          this.pending.set(request, { resolve: done, reject });
          this.tell(thread, command(request));
        });
      }),
    );
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

  stopAccepting(): void {
    this.tellAll({ type: 'stop' });
  }

  /** Ends every connection in order, and then the threads. */
  async close(): Promise<void> {
    this.stopping = true;
    const exits = this.threads.map(({ worker }) => new Promise((resolve) => worker.once('exit', resolve)));
    this.tellAll({ type: 'endAll', reason: 'shutdown' });
    this.tellAll({ type: 'close' });
    const late = setTimeout(() => {
      for (const { worker } of this.threads) void worker.terminate();
    }, REQUEST_TIMEOUT_MS);
    await Promise.all(exits);
    clearTimeout(late);
  }
}
