import type { HandedDevice } from '../data-plane-api/hand-over-messages.ts';
import type { Fault, WorkerEvent, WorkerSettings } from '../data-plane-api/messages.ts';
import type { EngineName } from '../engine/engine.ts';
import type { LimiterMemory } from '../policy/admission/connection-limiter.ts';
import type { ReconnectThrottleMemory } from '../policy/admission/reconnect-throttle.ts';
import type { Settle } from './survivors.ts';
import type { WorkerProgram } from './worker-program.ts';

/** How a set of workers is started. */
export interface WorkerPoolOptions {
  readonly count: number;
  /** Where several sets of threads share a table: the number of this one's first, how many there are in all, and the limiter's memory. */
  readonly shared?: {
    readonly first: number;
    readonly tableThreads: number;
    readonly limiter: LimiterMemory;
  };
  /** Absent: data threads. */
  readonly program?: WorkerProgram;
  readonly engine: EngineName;
  /** Taken by a thread where that cannot be made; absent: then the thread ends. */
  readonly spareEngine?: EngineName | undefined;
  readonly table: SharedArrayBuffer;
  /** What an older process knows of devices that connect over and over. */
  readonly reconnects?: ReconnectThrottleMemory | undefined;
  /** Of all threads together, at the start. */
  readonly maxConnections: number;
}

/** The settings that workers start with, and who hears from them. */
export interface Service {
  readonly settings: WorkerSettings;
  readonly onEvents: (events: readonly WorkerEvent[], thread: number) => void;
  /** An exception of one connection, or of one command; the thread goes on. */
  readonly onFault: (thread: number, fault: Fault) => void;
  /**
   * A thread died; what it had counted must be given back, of these devices when it is told what has become of them, of all others at
   * once. It is started again. `deaths`: in a row.
   */
  readonly onDeath: (
    thread: number,
    error: Error,
    deaths: number,
    survivors: readonly HandedDevice[],
  ) => Settle;
  /** A device that a thread has left cannot be gone on with. */
  readonly onRefused: (why: string) => void;
  /** A thread dies again and again; or it did, and lives. */
  readonly onFailing: (thread: number, isFailing: boolean) => void;
}
