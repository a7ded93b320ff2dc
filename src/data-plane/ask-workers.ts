import type { Command, Report } from '../data-plane-api/messages.ts';
import type { WorkerHandle } from './worker-handle.ts';

/** A question that goes to several workers. One that has died is not asked: it has no connections. */

const SETTLE_TIMEOUT_MS = 1_000;

export type Workers = readonly Pick<WorkerHandle, 'ask'>[];

/** Asks every worker, and resolves with all answers. @throws BreakwaterError THREAD_UNAVAILABLE */
export function askAll<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<T[]> {
  return Promise.all(workers.map((worker) => worker.ask<T>(command)));
}

/** The same with what those answer that do, when all have answered or failed; `failure`: of one that has not. */
export async function askEach<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<{ readonly reports: readonly T[]; readonly failure: unknown }> {
  const asked = await Promise.allSettled(workers.map((worker) => worker.ask<T>(command)));
  const reports = asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = asked.find((answer) => answer.status === 'rejected');
  return { reports, failure: failed?.reason };
}

/** Has every worker do something. One that does not answer is none the worse: a slow one has the command before it, a dead one starts by it. */
export async function haveDone<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<readonly T[]> {
  const done = await Promise.allSettled(workers.map((worker) => worker.ask<T>(command)));
  return done.flatMap((result) => {
    if (result.status === 'fulfilled') return result.value;
    if (result.reason.code !== 'THREAD_UNAVAILABLE') throw result.reason;
    return [];
  });
}

/**
 * Resolves when every worker has told what is in its sockets; one that does not answer is not waited for. Asked twice, because a
 * worker may have been in the middle of a turn, and what it told may be news to another.
 */
export async function settleAll(workers: () => Workers): Promise<void> {
  for (let round = 0; round < 2; round++)
    await Promise.allSettled(
      workers().map((worker) => worker.ask((request) => ({ type: 'settle', request }), SETTLE_TIMEOUT_MS)),
    );
}
