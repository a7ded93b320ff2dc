import { closeSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { readHanded } from '../base/read-handed.ts';
import { readHandedConnection, readHandedPeer } from '../connection/handed.ts';
import { orderAgain } from '../data-plane/recent-orders.ts';
import type { WorkerHandle } from '../data-plane/worker-handle.ts';
import type { DeviceOrder } from '../data-plane-api/device-order.ts';
import type { HandedDevice } from '../data-plane-api/hand-over-messages.ts';
import type { Report } from '../data-plane-api/messages.ts';
import { CLOSED, CONNECTION } from '../engine/descriptors.ts';
import { descriptorsOf, readHandedSockets, withDescriptors } from '../engine/handed-sockets.ts';
import type { Taker } from '../handover/take.ts';
import { describedClaim } from '../membership/claim.ts';
import { handedOrders } from './control-state.ts';
import type { RunningParts } from './running-parts.ts';

/** The connections of an older process, as this one takes them over. */

/** What was described of one: `give-connections.ts`. */
export const offeredConnection = z.object({
  /** Key of its listener. */
  listener: z.string(),
  /** How many of the descriptors, which come in the same order. */
  descriptors: z.int().min(1),
  ...{ sockets: z.unknown(), peer: z.unknown(), state: z.unknown() },
  accepted: z
    .object({ pool: z.string(), clientId: z.string(), who: z.int(), sinceMs: z.number() })
    .optional(),
  claim: describedClaim.optional(),
});
type Offered = z.output<typeof offeredConnection>;

interface Placed {
  /** Place in the batch. */
  readonly at: number;
  readonly thread: WorkerHandle;
  readonly device: HandedDevice;
  readonly claim: Offered['claim'];
}

type Adopted = Extract<Report, { type: 'adopted' }>;

export function createConnectionTaker({ common, dataPlane, control, owners }: RunningParts): Taker {
  const { threads, listeners } = dataPlane;
  const { log } = common;
  let adopted: readonly Placed[] = [];
  let orders: readonly DeviceOrder[] = [];
  let turn = 0;

  function read(offer: Offered, fds: readonly number[]): HandedDevice {
    const listener = listeners.indexOf(offer.listener);
    if (listener === undefined) throw new Error(`there is no listener ${offer.listener} any more`);
    return {
      listener,
      sockets: withDescriptors(readHandedSockets(offer.sockets), fds),
      peer: readHandedPeer(offer.peer),
      state: readHandedConnection(offer.state),
      accepted: offer.accepted,
    };
  }

  /** The threads make what was read; what they refuse is added to the others, and what is lost with a thread that dies. */
  async function make(
    placed: readonly Placed[],
    refuse: (at: number, why: string, areOurs?: boolean) => void,
  ): Promise<Placed[]> {
    const refused = new Set<Placed>();
    const note = ({ device, thread }: Placed, what: number) =>
      thread.note(descriptorsOf(device.sockets), what);
    const asked = [...new Set(placed.map(({ thread }) => thread))].map(async (thread) => {
      const own = placed.filter((each) => each.thread === thread);
      for (const each of own) note(each, CONNECTION); // so that they are closed, should it die
      try {
        const answer = await thread.ask<Adopted>((request) => ({
          ...{ type: 'adopt', request, devices: own.map(({ device }) => device) },
        }));
        for (const { at, why } of answer.refused) {
          const each = own[at] as Placed;
          note(each, CLOSED);
          refused.add(each);
          refuse(each.at, why);
        }
      } catch (error) {
        if (thread.isAlive) throw error;
        for (const each of own) {
          refused.add(each);
          refuse(each.at, messageOf(error), false);
        }
      }
    });
    await Promise.all(asked);
    return placed.filter((each) => !refused.has(each));
  }

  return {
    async adopt(connections, descriptors, ordered) {
      orders = readHanded(handedOrders, ordered, 'an order');
      const offers = readHanded(z.array(offeredConnection), connections, 'a batch');
      const fds = fdsOf(offers, descriptors);
      const refused: number[] = [];
      const refuse = (at: number, why: string, areOurs = true): void => {
        log.debug({ why }, 'a connection stays with the older process');
        if (areOurs) for (const fd of fds[at] ?? []) closeSync(fd);
        refused.push(at);
      };
      const placed: Placed[] = [];
      await threads.ready().catch(() => undefined); // one may have died
      const { alive } = threads;
      for (const [at, offer] of offers.entries()) {
        try {
          const thread = alive[turn++ % alive.length];
          if (thread === undefined) throw new Error('there is no data thread');
          placed.push({ at, thread, device: read(offer, fds[at] ?? []), claim: offer.claim });
        } catch (error) {
          refuse(at, messageOf(error));
        }
      }
      adopted = await make(placed, refuse);
      return refused;
    },
    async begin() {
      for (const { thread, device, claim } of adopted) {
        const { number } = thread;
        if (!thread.isAlive) continue;
        if (claim !== undefined) control.cluster.claims.revive({ ...claim, thread: number });
        if (device.accepted !== undefined) owners.owned(number, device.accepted);
      }
      for (const thread of threads.alive) thread.tell({ type: 'begin' });
      orderAgain(threads.alive, orders);
      adopted = [];
    },
  };
}

/** The descriptors of each. @throws Error where there are others than they say */
function fdsOf(offers: readonly Offered[], descriptors: readonly number[]): number[][] {
  let at = 0;
  const fds = offers.map(({ descriptors: count }) => {
    at += count;
    return descriptors.slice(at - count, at);
  });
  if (at !== descriptors.length) throw new Error('the descriptors are not those of the connections');
  return fds;
}
