/** Questions and orders about the devices of all data threads. */

import type { MoveCause } from '../connection/connection-host.ts';
import type { DepartureOrder } from '../data-plane-api/departure.ts';
import type { ClientAnswer, ClientFilter, MoveTally, Report, Whom } from '../data-plane-api/messages.ts';
import { addTallies } from '../data-plane-api/move-tally.ts';
import type { TraceAnswer, TraceOrder } from '../data-plane-api/trace.ts';
import { askAll, type Workers } from './ask-workers.ts';
import { laidTogether } from './client-list.ts';
import type { Kick } from './recent-kicks.ts';

/**
 * What may be asked of devices, whichever worker has them. Each throws BreakwaterError THREAD_UNAVAILABLE.
 * @param all those too that have only clients of HTTP
 * @param kicked notes a kick for connections that stand still
 */
export function createDeviceOrders(workers: () => Workers, all: () => Workers, kicked: (whom: Whom) => Kick) {
  let turn = 0;
  return {
    clients: (filter: ClientFilter) => list(workers(), filter),
    moveSome: (node: string, count: number, cause: MoveCause, to?: string) =>
      moveSome(workers(), node, count, cause, to),
    move: (whom: Whom, to: string | undefined) => move(workers(), whom, to),
    kick: (whom: Whom) => kick(workers(), kicked(whom)),
    trace: (order: TraceOrder) => trace(workers(), order),
    dismiss: (order: DepartureOrder) => dismiss(all(), order, turn++),
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
  for (const [asked, worker] of workers.entries()) {
    const share = Math.ceil(left / (workers.length - asked));
    const { tally } = await worker.ask<Extract<Report, { type: 'moved' }>>((request) => ({
      ...{ type: 'moveSome', request, node, count: share, cause, to },
    }));
    left -= tally.moving + tally.noNode + tally.ended;
    tallies.push(tally);
  }
  return addTallies(tallies);
}

/** Moves one device, to the node `to` if one is given. */
async function move(workers: Workers, whom: Whom, to: string | undefined): Promise<MoveTally> {
  const reports = await askAll<Extract<Report, { type: 'moved' }>>(workers, (request) => ({
    type: 'move',
    request,
    whom,
    to,
  }));
  return addTallies(reports.map((report) => report.tally));
}

/** Ends connections. @returns how many there were */
async function kick(workers: Workers, order: Kick): Promise<number> {
  const reports = await askAll<Extract<Report, { type: 'kicked' }>>(workers, (request) => ({
    type: 'kick',
    request,
    ...order,
  }));
  return reports.reduce((sum, report) => sum + report.count, 0);
}

/** How many devices were ended, and how many are still to leave. */
interface Dismissal {
  readonly ended: number;
  readonly left: number;
}

/** A worker that is stuck must not hold up those of the others. */
const DISMISS_TIMEOUT_MS = 1_000;

/**
 * Lets `order.count` devices leave, over all workers. Each is given its share, later ones make up for what it lacks, and
 * `turn` says who comes first, so that a count of one is not always the same worker's. One that does not answer is passed over.
 */
async function dismiss(workers: Workers, order: DepartureOrder, turn: number): Promise<Dismissal> {
  let [ended, left] = [0, 0];
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
  return { ended, left };
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
