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

/** The same with what those answer that do, when all have answered or failed; `failures`: of those that have not. */
export async function askEach<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<{ readonly reports: readonly T[]; readonly failures: readonly { readonly code?: string }[] }> {
  const asked = await Promise.allSettled(workers.map((worker) => worker.ask<T>(command)));
  return {
    reports: asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : [])),
    failures: asked.flatMap((answer) => (answer.status === 'rejected' ? answer.reason : [])),
  };
}

/** Has every worker do something. One that does not answer is none the worse: a slow one has the command before it, a dead one starts by it. */
export async function haveDone<T extends Report>(
  workers: Workers,
  command: (request: number) => Command,
): Promise<readonly T[]> {
  const { reports, failures } = await askEach<T>(workers, command);
  for (const failure of failures) if (failure.code !== 'THREAD_UNAVAILABLE') throw failure;
  return reports;
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
