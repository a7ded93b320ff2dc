/** Questions and orders about the devices of all data threads. */

import type { MoveCause } from '../connection/connection-host.ts';
import type { DepartureOrder } from '../data-plane-api/departure.ts';
import type { DeviceOrder, Whom } from '../data-plane-api/device-order.ts';
import type { ClientAnswer, ClientFilter, MoveTally, Report } from '../data-plane-api/messages.ts';
import { addTallies, hasFound } from '../data-plane-api/move-tally.ts';
import type { TraceAnswer, TraceOrder } from '../data-plane-api/trace.ts';
import { askAll, askEach, type Workers } from './ask-workers.ts';
import { laidTogether } from './client-list.ts';
import type { RecentOrders } from './recent-orders.ts';

/**
 * What may be asked of devices, whichever worker has them. Each throws BreakwaterError THREAD_UNAVAILABLE.
 * @param all those too that have only clients of HTTP
 * @param orders keeps kicks and moves for connections that stand still
 * @param awaited how many those are that no worker has, because the one that had them has died
 */
export function createDeviceOrders(
  workers: () => Workers,
  all: () => Workers,
  orders: Pick<RecentOrders, 'carry'>,
  awaited: () => number,
) {
  let turn = 0;
  return {
    clients: (filter: ClientFilter) => list(workers(), filter),
    moveSome: (node: string, count: number, cause: MoveCause, to?: string) =>
      moveSome(workers(), node, count, cause, to),
    /** Moves one device to that node. */
    move: (whom: Whom, to: string): Promise<MoveTally> =>
      orders.carry({ type: 'move', whom, to }, (order) => move(workers(), order), hasFound),
    /** Ends connections; resolves with how many there were. Another one of the same client id may stand still. */
    kick: (whom: Whom): Promise<number> =>
      orders.carry(
        { type: 'kick', whom },
        (order) => kick(workers(), order),
        () => false,
      ),
    trace: (order: TraceOrder) => trace(workers(), order),
    dismiss: (order: DepartureOrder) => dismiss(all(), order, turn++, awaited),
  };
}

export type DeviceOrders = ReturnType<typeof createDeviceOrders>;

/** Lists at most `filter.limit` devices. */
async function list(workers: Workers, filter: ClientFilter): Promise<ClientAnswer> {
  const reports = await askAll<Extract<Report, { type: 'clients' }>>(workers, (request) => ({
    type: 'clients',
    request,
    filter,
  }));
  return laidTogether(
    reports.map(({ answer }) => answer),
    filter.limit,
  );
}

/** Orders at most `count` sessions away from a node. Each worker is given its share, and later ones make up for what it lacks. */
async function moveSome(
  workers: Workers,
  node: string,
  count: number,
  cause: MoveCause,
  to?: string,
): Promise<MoveTally> {
  const tallies: MoveTally[] = [];
  let left = count;
  let failure: unknown;
  for (const [asked, worker] of workers.entries()) {
    const share = Math.ceil(left / (workers.length - asked));
    try {
      const { tally } = await worker.ask<Extract<Report, { type: 'moved' }>>((request) => ({
        ...{ type: 'moveSome', request, node, count: share, cause, to },
      }));
      left -= tally.moving + tally.noNode + tally.ended;
      tallies.push(tally);
    } catch (error) {
      failure = error;
    }
  }
  const tally = addTallies(tallies);
  if (failure !== undefined && !hasFound(tally)) throw failure; // what the others have begun counts
  return tally;
}

function move(workers: Workers, order: DeviceOrder): Promise<MoveTally> {
  type Moved = Extract<Report, { type: 'moved' }>;
  const together = (reports: readonly Moved[]) => addTallies(reports.map(({ tally }) => tally));
  return giveTo(workers, order, together, hasFound);
}

function kick(workers: Workers, order: DeviceOrder): Promise<number> {
  type Kicked = Extract<Report, { type: 'kicked' }>;
  const together = (reports: readonly Kicked[]) => reports.reduce((sum, { count }) => sum + count, 0);
  return giveTo(workers, order, together, (count) => count > 0);
}

/** What all workers answer together. One that does not answer is a failure only where no other has found the device. */
async function giveTo<R extends Report, T>(
  workers: Workers,
  order: DeviceOrder,
  together: (reports: readonly R[]) => T,
  isFound: (answer: T) => boolean,
): Promise<T> {
  const { reports, failures } = await askEach<R>(workers, (request) => ({ ...order, request }));
  const answer = together(reports);
  if (failures.length > 0 && !isFound(answer)) throw failures[0];
  return answer;
}

/** How many devices were ended, and how many are still to leave, those included that stand still. */
interface Dismissal {
  readonly ended: number;
  readonly left: number;
}

/** A worker that is stuck must not hold up those of the others. */
const DISMISS_TIMEOUT_MS = 1_000;

/**
 * Lets `order.count` devices leave, over all workers. Each is given its share, later ones make up for what it lacks, and
 * `turn` says who comes first, so that a count of one is not always the same worker's. One that does not answer is passed over.
 * Whom no worker has is still to leave: one that dies meanwhile leaves its devices to the next.
 */
async function dismiss(
  workers: Workers,
  order: DepartureOrder,
  turn: number,
  awaited: () => number,
): Promise<Dismissal> {
  let [ended, left] = [0, 0];
  const before = awaited();
  for (const asked of workers.keys()) {
    const worker = workers[(asked + turn) % workers.length];
    const count = Math.ceil((order.count - ended) / (workers.length - asked));
    const answer = await worker
      ?.ask<Extract<Report, { type: 'dismissed' }>>(
        (request) => ({ type: 'dismiss', request, ...order, count }),
        DISMISS_TIMEOUT_MS,
      )
      .catch(() => undefined);
    ended += answer?.ended ?? 0;
    left += answer?.left ?? 0;
  }
  return { ended, left: left + Math.max(before, awaited()) };
}

/** Only the worker that has the connection knows it. */
async function trace(workers: Workers, order: TraceOrder): Promise<TraceAnswer> {
  const reports = await askAll<Extract<Report, { type: 'traced' }>>(workers, (request) => ({
    type: 'trace',
    request,
    order,
  }));
  const answers = reports.map(({ answer }) => answer);
  const known = answers.find(({ state }) => state !== 'absent');
  return known ?? { state: 'absent', packets: [], dropped: 0 };
}
