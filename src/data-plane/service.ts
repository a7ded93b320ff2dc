import type { Fault, WorkerEvent, WorkerSettings } from '../data-plane-api/messages.ts';

/** What threads go by when they start, and whom they tell. */
export interface Service {
  readonly settings: WorkerSettings;
  readonly onEvents: (events: readonly WorkerEvent[], thread: number) => void;
  /** An exception of one connection, or of one command; the thread goes on. */
  readonly onFault: (thread: number, fault: Fault) => void;
  /** A thread died; what it had counted must be given back. It is started again. */
  readonly onDeath: (thread: number, error: Error) => void;
}
