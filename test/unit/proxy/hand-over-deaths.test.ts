import { closeSync, openSync } from 'node:fs';
import { serialize } from 'node:v8';
import { expect, test } from 'vitest';
import { packDevice } from '../../../src/data-plane/handed-device.ts';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import type { Command } from '../../../src/data-plane-api/messages.ts';
import { CLOSED, CONNECTION } from '../../../src/engine/descriptors.ts';
import { createConnectionGiver } from '../../../src/proxy/give-connections.ts';
import type { RunningParts } from '../../../src/proxy/running-parts.ts';
import { createConnectionTaker } from '../../../src/proxy/take-connections.ts';
import { described } from '../../support/handed-device.ts';

/** A data thread of an upgrade that dies when it is asked, or only fails, or answers. */
function thread(how: 'dies' | 'fails' | 'answers', answer: object = {}) {
  const noted: [readonly number[], number][] = [];
  return {
    ...{ number: 3, isAlive: how !== 'dies', noted },
    tell: () => undefined,
    note: (fds: readonly number[], what: number) => noted.push([fds, what]),
    ask: async (command: (request: number) => Command) => {
      command(1);
      if (how !== 'answers') throw new Error(how);
      return answer;
    },
  };
}

function parts(...alive: object[]): RunningParts {
  return {
    common: { log: { debug: () => undefined } },
    dataPlane: {
      threads: {
        alive,
        awaited: 2,
        orders: new RecentOrders({ now: () => 0 }),
        ready: async () => undefined,
      },
      listeners: { keyAt: () => 'key', indexOf: () => 0 },
    },
    control: { cluster: { claims: {} } },
    owners: {},
  } as unknown as RunningParts;
}

test('a thread of the older process that dies has nothing to give for now, and is asked again; other faults end the upgrade', async () => {
  // Two devices of dead threads wait, for the next one.
  const handing = { devices: [], busy: 2 };
  const giver = createConnectionGiver(parts(thread('dies'), thread('answers', handing)));
  expect(await giver.next()).toEqual({ connections: [], descriptors: [], orders: [], busy: 5 });
  await expect(createConnectionGiver(parts(thread('fails'))).next()).rejects.toThrow('fails');
});

const offered = (description: Uint8Array) => ({ listener: 'key', descriptors: 2, description });
const twoDescriptors = () => [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];

test('what a thread of the newer process was given when it died stays with the older one', async () => {
  const offer = () => offered(packDevice(described(1), 0, undefined).description);
  const [lost, kept] = [twoDescriptors(), twoDescriptors()];
  const [dying, living] = [thread('dies'), thread('answers', { refused: [{ at: 0, why: 'no' }] })];
  const taker = createConnectionTaker(parts(dying, living));
  const refused = await taker.adopt([offer(), offer()], [...lost, ...kept], []);
  expect([...refused].sort()).toEqual([0, 1]);
  // The dead one's is closed with its thread, which has it noted; what is refused is closed here.
  expect(dying.noted).toEqual([[lost, CONNECTION]]);
  expect(living.noted).toEqual([
    [kept, CONNECTION],
    [kept, CLOSED],
  ]);
  lost.forEach(closeSync);
  const alone = createConnectionTaker(parts());
  expect(await alone.adopt([offer()], twoDescriptors(), [])).toEqual([0]);
});

test('a device that the newer process cannot understand stays with the older one, and is not repeated; the others go', async () => {
  const told: unknown[] = [];
  const living = thread('answers', { refused: [] });
  const running = parts(living);
  Object.assign(running.common.log, { debug: ({ why }: { why: string }) => told.push(why) });
  const taker = createConnectionTaker(running);
  const { sockets, peer, state } = described(1);
  const broken = [
    serialize({ sockets, peer, state: { ...state, password: 'secret' } }),
    serialize({ sockets: { ...sockets, links: [] }, peer, state }),
    serialize({ sockets, peer }),
    serialize(undefined),
    Uint8Array.of(7),
    new Uint8Array(),
  ];
  const good = packDevice(described(1), 0, undefined).description;
  const offers = [...broken, good].map(offered);
  const descriptors = offers.flatMap(twoDescriptors);
  expect(await taker.adopt(offers, descriptors, [])).toEqual([0, 1, 2, 3, 4, 5]);
  expect(living.noted).toEqual([[descriptors.slice(-2), CONNECTION]]);
  descriptors.slice(-2).forEach(closeSync); // the others are closed
  expect([told.length, JSON.stringify(told).includes('secret')]).toEqual([broken.length, false]);
});
