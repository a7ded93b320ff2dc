import { closeSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { BreakwaterError, type ErrorCode, messageOf } from '../base/errors.ts';
import { runningTimeout } from '../base/running-timeout.ts';
import { systemTimers } from '../base/time.ts';
import type { HandedDevice, HandOverReport } from '../data-plane-api/hand-over-messages.ts';
import type { Command, ListenerSettings, Report, WorkerStart } from '../data-plane-api/messages.ts';
import { CLOSED, CONNECTION, closeDescriptors } from '../engine/descriptors.ts';
import type { BoundAddress } from '../engine/engine.ts';
import { descriptorsOf } from '../engine/handed-sockets.ts';
import { unmapLeft } from '../engine/unmap.ts';
import { takeLeft } from './left-behind.ts';
import { ListenError } from './listen-error.ts';
import type { WorkerProgram } from './worker-program.ts';
import { ensureWorkingFolder } from './working-folder.ts';

/** An answer that has not come within this time is given up. */
export const REQUEST_TIMEOUT_MS = 5_000;
/** How long a worker may take to start: a machine with few cores starts many at a time. */
const LISTEN_TIMEOUT_MS = 30_000;
/**
 * A data thread's garbage is what connects leave behind. V8 would let 16 MB and more of it lie in memory before it looks;
 * with less it looks more often, at next to nothing, and an idle device costs half.
 */
const dataThread: WorkerProgram = { script: new URL('./worker.js', import.meta.url), youngGenerationMb: 4 };
const WAKE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** What it was asked and has not answered yet. */
interface Request {
  readonly resolve: (report: Report) => void;
  readonly reject: (error: Error) => void;
}

/** What a worker reports besides the answers to questions. */
interface DataThreadEvents {
  readonly onReport: (report: Report) => void;
  /** It has ended: after it listened, or else before. What it has left is the caller's. */
  readonly onExit: (error: Error, hasListened: boolean, left: ReturnType<typeof takeLeft>) => void;
}

function failureIn({ code, message, listener }: Extract<Report, { type: 'failed' }>): BreakwaterError {
  if (listener === undefined) return new BreakwaterError(code as ErrorCode, message);
  return new ListenError(code as ErrorCode, message, listener);
}

/** One data thread as the main thread sees it: a Worker, what it is told, and what it was asked. */
export class WorkerHandle {
  readonly worker: Worker;
  readonly exited: Promise<unknown>;
  /** Bound, with all listeners that it was started with. */
  listens = false;
  isAlive = true;
  /** In the routing table and in reports. */
  readonly number: number;
  /**
   * Its connections that stand still, because another process is asked to take them. Meanwhile their descriptors are not noted as the
   * thread's: where it dies they stay open, for who takes them or for another thread.
   */
  offered: readonly HandedDevice[] = [];
  private readonly pending = new Map<number, Request>();
  /** Call it when the thread has done what it is ended for otherwise: its devices and its place would wait for ever. */
  private inTime: () => void;
  private readonly descriptors: Uint8Array | undefined;
  private readonly left: Extract<HandOverReport, { type: 'left' }>[] = [];
  private wakeFd: number | undefined;
  private requests = 0;
  private failure = new Error('the thread ended by itself');

  /** @param program that of a data thread if it is not given */
  constructor(start: WorkerStart, events: DataThreadEvents, { script, youngGenerationMb } = dataThread) {
    this.number = start.thread;
    this.descriptors = start.descriptors;
    ensureWorkingFolder();
    this.worker = new Worker(script, {
      workerData: start,
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
    });
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve));
    this.inTime = this.within(LISTEN_TIMEOUT_MS, 'it did not start in time');
    this.worker.on('error', (error) => {
      this.failure = error;
    });
    this.worker.on('exit', () => {
      this.isAlive = false;
      this.inTime();
      this.forget();
      const left = this.bury();
      events.onExit(this.failure, this.listens, left);
    });
    this.worker.on('message', (report: Report) => {
      if (report.type === 'ready') {
        this.inTime();
        this.wakeFd = report.wakeFd;
      }
      if (report.type === 'left') return this.leaves(report);
      if (!('request' in report)) return events.onReport(report);
      const request = this.pending.get(report.request);
      if (report.type === 'handing' && request !== undefined) this.hold(report.devices);
      if (report.type === 'failed') request?.reject(failureIn(report));
      else request?.resolve(report);
    });
  }

  private within(ms: number, otherwise: string): () => void {
    return runningTimeout(() => this.end(otherwise), ms);
  }

  /** It has given itself up, and ends behind the last of these. */
  private leaves(report: Extract<HandOverReport, { type: 'left' }>): void {
    this.left.push(report);
    this.inTime();
    this.inTime = this.within(REQUEST_TIMEOUT_MS, 'it did not end in time');
  }

  /** Nothing may be told to a dead thread. Its descriptor was kept until now, so that no number was written to that is another's. */
  private forget(): void {
    if (this.wakeFd !== undefined) closeSync(this.wakeFd);
    this.wakeFd = undefined;
    for (const { reject } of this.pending.values())
      reject(new BreakwaterError('THREAD_UNAVAILABLE', `data thread ${this.number} died; try again`));
  }

  /** Closes what the thread has open, but what it has left to another. */
  private bury(): ReturnType<typeof takeLeft> {
    const { descriptors, left } = this;
    if (descriptors === undefined) return { devices: [], listening: [] };
    const taken = takeLeft(descriptors, left);
    unmapLeft(descriptors);
    closeDescriptors(descriptors, systemTimers);
    return taken;
  }

  private hold(devices: readonly HandedDevice[]): void {
    this.offered = devices;
    for (const { sockets } of devices) this.note(descriptorsOf(sockets), CLOSED);
  }

  /** The other process has those that it offered, but those at these places, which go on at the thread. */
  given(kept: readonly number[] | 'all'): void {
    for (const { sockets } of this.offered) this.note(descriptorsOf(sockets), CONNECTION);
    this.offered = [];
    this.tell({ type: 'given', kept });
  }

  /** Notes in the thread's stead what these descriptors are, which it is given, or gives back. */
  note(descriptors: readonly number[], what: number): void {
    for (const fd of descriptors) if (this.descriptors !== undefined) this.descriptors[fd] = what;
  }

  /** The first listeners; where one cannot be bound, the thread ends with that error. */
  async begin(listeners: readonly ListenerSettings[]): Promise<readonly BoundAddress[]> {
    try {
      const addresses = await this.listen(listeners, LISTEN_TIMEOUT_MS);
      this.listens = true;
      return addresses;
    } catch (error) {
      this.end(error);
      await this.exited;
      throw error;
    }
  }

  /** Binds all or none. @throws BreakwaterError as `Engine.listen`, THREAD_UNAVAILABLE */
  async listen(
    listeners: readonly ListenerSettings[],
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<readonly BoundAddress[]> {
    const ask = (request: number): Command => ({ type: 'listen', request, listeners });
    const { addresses } = await this.ask<Extract<Report, { type: 'listening' }>>(ask, timeoutMs);
    return addresses;
  }

  tell(command: Command): void {
    this.worker.postMessage(command);
    if (this.wakeFd !== undefined) writeSync(this.wakeFd, WAKE);
  }

  /** @throws BreakwaterError THREAD_UNAVAILABLE, and what the thread says */
  ask<T extends Report>(
    command: (request: number) => Command,
    timeoutMs: number = REQUEST_TIMEOUT_MS,
  ): Promise<T> {
    const request = ++this.requests;
    const answer = new Promise<T>((resolve, reject) => {
      this.pending.set(request, { resolve: (report) => resolve(report as T), reject });
    });
    const answered = runningTimeout(() => {
      const message = `data thread ${this.number} did not answer within ${timeoutMs / 1000} s; try again`;
      this.pending.get(request)?.reject(new BreakwaterError('THREAD_UNAVAILABLE', message));
    }, timeoutMs);
    this.tell(command(request));
    return answer.finally(() => {
      answered();
      this.pending.delete(request);
    });
  }

  /** At once, whatever it carries. */
  end(reason: unknown): void {
    this.failure = reason instanceof Error ? reason : new Error(messageOf(reason));
    void this.worker.terminate();
  }
}
