import type { ListenerSettings, Report } from '../data-plane-api/messages.ts';
import { askAll } from './ask-workers.ts';
import type { WorkerHandle } from './worker-handle.ts';

/** The listening sockets of workers, which one process leaves to the next. */

/** The sockets of each listener of these workers, by its index. */
export async function listeningAt(
  workers: readonly Pick<WorkerHandle, 'ask'>[],
): Promise<Map<number, readonly number[]>> {
  const reports = await askAll<Extract<Report, { type: 'descriptors' }>>(workers, (request) => ({
    ...{ type: 'listening', request },
  }));
  const sockets = new Map<number, readonly number[]>();
  for (const { index, descriptors } of reports.flatMap(({ listeners }) => listeners))
    sockets.set(index, [...(sockets.get(index) ?? []), ...descriptors]);
  return sockets;
}

/** Which of the sockets that listeners inherit a worker has: each is that of one; a worker without any binds one of its own. */
export function inheritedShares(listeners: readonly ListenerSettings[], workers: number) {
  return (settings: readonly ListenerSettings[], worker: number): ListenerSettings[] =>
    settings.map((each, i) => ({
      ...each,
      inherited: listeners[i]?.inherited?.filter((_, turn) => turn % workers === worker),
    }));
}
