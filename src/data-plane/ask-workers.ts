import type { Command, Report } from '../data-plane-api/messages.ts';
import type { WorkerHandle } from './worker-handle.ts';

/** A question that goes to several workers. One that has died is not asked: it has no connections. */

export type Workers = readonly Pick<WorkerHandle, 'ask'>[];

/** Asks every worker, and resolves with all answers. @throws BreakwaterError THREAD_UNAVAILABLE */
export function askAll<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<T[]> {
  return Promise.all(workers.map((worker) => worker.ask<T>(command)));
}
