import type { WorkerHandle } from '../data-plane/worker-handle.ts';
import type { DeviceOrder } from '../data-plane-api/device-order.ts';
import type { HandedDevice } from '../data-plane-api/hand-over-messages.ts';
import type { Report } from '../data-plane-api/messages.ts';
import { descriptorsOf } from '../engine/handed-sockets.ts';
import type { Batch, Giver } from '../handover/give.ts';
import type { RunningParts } from './running-parts.ts';

/** The connections of this process, as another one takes them over: in batches, so that each stands still for milliseconds. */

type Handing = Extract<Report, { type: 'handing' }>;

/**
 * How many connections of each thread stand still together. The new process has run nothing of this before, and takes a hundred times as long
 * for its first connection as for later ones, so one begins, and each batch has twice as many. Larger ones than 16 stand still longer, and all
 * together take no less: the way between the processes costs as much as 16 connections.
 */
const FIRST_BATCH = 1;
const LARGEST_BATCH = 16;

/** What stands still: which connections of which thread, in the order of the batch. */
interface Offer {
  readonly thread: WorkerHandle;
  readonly devices: readonly HandedDevice[];
}

interface ConnectionGiver extends Pick<Giver, 'next' | 'given' | 'back'> {
  /** What the new process has not heard of. */
  unsaidOrders(): readonly DeviceOrder[];
  /** The new process is gone: all go on here. */
  keepAll(): void;
}

export function createConnectionGiver({
  dataPlane,
  control,
}: Pick<RunningParts, 'dataPlane' | 'control'>): ConnectionGiver {
  const { threads, listeners } = dataPlane;
  const { claims } = control.cluster;
  let offers: readonly Offer[] = [];
  /** Threads of the last batch. */
  let asked: readonly WorkerHandle[] = [];
  let size = FIRST_BATCH;
  const { orders } = threads;
  /** The number of the last order that the new process was told, and of the last one before the last batch stood still. */
  let said = orders.last;
  let heard = said;

  function unsaidOrders(): readonly DeviceOrder[] {
    const unsaid = orders.since(said);
    said = orders.last;
    return unsaid;
  }

  return {
    unsaidOrders,
    async next(): Promise<Batch> {
      heard = orders.last;
      asked = threads.alive;
      const answered = asked.map(async (thread) => {
        const { devices, busy } = await offeredBy(thread, size);
        return { thread, devices, busy };
      });
      const answers = await Promise.all(answered);
      offers = answers;
      const all = answers.flatMap(({ devices }) => devices);
      return {
        connections: all.map(({ listener, sockets, accepted, ...rest }) => ({
          ...{ ...rest, sockets, accepted, listener: listeners.keyAt(listener) },
          descriptors: descriptorsOf(sockets).length,
          claim: accepted && claims.describe(accepted),
        })),
        orders: all.length === 0 ? [] : unsaidOrders(),
        descriptors: all.flatMap(({ sockets }) => descriptorsOf(sockets)),
        busy: answers.reduce((sum, { busy }) => sum + busy, threads.awaited),
      };
    },
    async given(refused) {
      const places = new Set(refused);
      let first = 0;
      for (const { thread, devices } of offers) {
        const kept = [...devices.keys()].filter((at) => places.has(first + at));
        if (thread.isAlive)
          for (const [at, { accepted }] of devices.entries())
            if (accepted !== undefined && !places.has(first + at)) claims.departed(accepted);
        threads.given(thread, kept, heard);
        first += devices.length;
      }
      offers = [];
      size = Math.min(LARGEST_BATCH, 2 * size);
    },
    back() {
      for (const { thread } of offers) threads.given(thread, 'all', heard);
      offers = [];
    },
    keepAll() {
      for (const thread of new Set([...threads.alive, ...asked])) threads.given(thread, 'all', heard);
    },
  };
}

/** A thread that dies before it answers has none for now: the next one has what it leaves (`survivors.ts`). @throws Error of one that fails otherwise */
async function offeredBy(thread: WorkerHandle, most: number): Promise<Pick<Handing, 'devices' | 'busy'>> {
  try {
    return await thread.ask<Handing>((request) => ({ type: 'hand-over', request, most }));
  } catch (error) {
    if (thread.isAlive) throw error;
    return { devices: [], busy: 1 };
  }
}
