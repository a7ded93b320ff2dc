import { expect, test } from 'vitest';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import type { DeviceOrder, Unstamped } from '../../../src/data-plane-api/device-order.ts';
import type { Command } from '../../../src/data-plane-api/messages.ts';
import { createConnectionGiver } from '../../../src/proxy/give-connections.ts';
import type { RunningParts } from '../../../src/proxy/running-parts.ts';
import { createConnectionTaker } from '../../../src/proxy/take-connections.ts';

/** A process of one thread, which has `devices` connections to give, and finds none that is ordered to do something. */
function process(devices: number) {
  const told: Command[] = [];
  const orders = new RecentOrders({ now: () => 7 });
  const device = { listener: 0, sockets: { device: { fd: 5 }, links: [] } };
  const thread = {
    ...{ number: 0, isAlive: true },
    tell: (command: Command) => void told.push(command),
    ask: async () => ({ devices: Array(devices).fill(device), busy: 0 }),
  };
  const given: unknown[] = [];
  const threads = {
    ...{ alive: [thread], awaited: 0, orders, ready: async () => undefined },
    given: (_: unknown, kept: unknown, heard: number) => given.push([kept, orders.since(heard)]),
  };
  const parts = {
    ...{ common: {}, owners: {}, control: { cluster: { claims: {} } } },
    dataPlane: { threads, listeners: { keyAt: () => 'key', indexOf: () => 0 } },
  } as unknown as RunningParts;
  const order = (what: Unstamped) =>
    orders.carry(
      what,
      async () => 0,
      () => false,
    );
  return { parts, order, told, given };
}

const kick = (clientId: string): Unstamped => ({ type: 'kick', whom: { clientId } });
const move = (clientId: string): Unstamped => ({ type: 'move', whom: { clientId }, to: 'b' });
const stamped = (order: Unstamped): DeviceOrder => ({ ...order, untilMs: 7 });

test('what is ordered while connections stand still is done when they go on here, and at the new process with the next that it is told', async () => {
  const { parts, order, given } = process(2);
  await order(kick('before'));
  const giver = createConnectionGiver(parts);
  expect((await giver.next()).orders).toEqual([]);
  await order(kick('a'));
  await order(move('c'));
  await giver.given([1]);
  expect((await giver.next()).orders).toEqual([stamped(kick('a')), stamped(move('c'))]);
  await order(move('b'));
  giver.keepAll();
  expect(given).toEqual([
    [[1], [stamped(kick('a')), stamped(move('c'))]],
    ['all', [stamped(move('b'))]],
  ]);
  expect(giver.unsaidOrders()).toEqual([stamped(move('b'))]);
  expect(giver.unsaidOrders()).toEqual([]);
});

test('what is said with nothing to give waits for the last word', async () => {
  const { parts, order } = process(0);
  const giver = createConnectionGiver(parts);
  await order(kick('a'));
  expect((await giver.next()).orders).toEqual([]);
  expect(giver.unsaidOrders()).toEqual([stamped(kick('a'))]);
});

test('the new process carries out what it is told behind the beginning of the batch', async () => {
  const { parts, told } = process(0);
  const taker = createConnectionTaker(parts);
  await taker.adopt([], [], [stamped(kick('a')), stamped(move('b'))]);
  expect(told).toEqual([]);
  await taker.begin();
  expect(told).toEqual([
    { type: 'begin' },
    { ...stamped(kick('a')), request: 0 },
    { ...stamped(move('b')), request: 0 },
  ]);
  await expect(taker.adopt([], [], [{ whom: 'everybody' }])).rejects.toThrow('cannot be understood');
  const nowhere = { type: 'move', whom: { clientId: 'a' }, untilMs: 7 };
  await expect(taker.adopt([], [], [nowhere])).rejects.toThrow('cannot be understood');
});
