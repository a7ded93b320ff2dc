import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import type { Workers } from '../../../src/data-plane/ask-workers.ts';
import { createDeviceOrders } from '../../../src/data-plane/device-orders.ts';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import { noMoves } from '../../../src/data-plane-api/move-tally.ts';

/** Data threads that answer so, or die when they are asked; `awaited`: devices that no thread has. */
function scene(answers: readonly (object | 'dies')[], awaited: () => number = () => 0) {
  const workers = answers.map((answer) => ({
    ask: async () => {
      if (answer === 'dies') throw new BreakwaterError('THREAD_UNAVAILABLE', 'it died; try again');
      return answer;
    },
  })) as unknown as Workers;
  const orders = new RecentOrders({ now: () => 7 });
  const all = () => workers;
  return { orders, devices: createDeviceOrders(all, all, orders, awaited) };
}

const whom = { clientId: 'meter' };
const moved = (moving: number) => ({ tally: { ...noMoves, moving } });

test('a move that has found its device is done; one that has not is kept, and so is each kick', async () => {
  const found = scene([moved(0), moved(1)]);
  expect(await found.devices.move(whom, 'b')).toMatchObject({ moving: 1 });
  expect(found.orders.since(0)).toEqual([]);
  const lost = scene([moved(0)]);
  expect(await lost.devices.move(whom, 'b')).toEqual(noMoves);
  expect(lost.orders.since(0)).toEqual([{ type: 'move', whom, to: 'b', untilMs: 7 }]);
  const kicked = scene([{ count: 1 }]);
  expect(await kicked.devices.kick(whom)).toBe(1);
  expect(kicked.orders.since(0)).toEqual([{ type: 'kick', whom, untilMs: 7 }]);
});

test('a thread that dies matters only where no other has found the device', async () => {
  const died = { code: 'THREAD_UNAVAILABLE' };
  expect(await scene(['dies', { count: 1 }]).devices.kick(whom)).toBe(1);
  expect(await scene(['dies', moved(1)]).devices.move(whom, 'b')).toMatchObject({ moving: 1 });
  const lost = scene(['dies', { count: 0, ...moved(0) }]);
  await expect(lost.devices.kick(whom)).rejects.toMatchObject(died);
  await expect(lost.devices.move(whom, 'b')).rejects.toMatchObject(died);
  expect(lost.orders.since(0).map(({ type }) => type)).toEqual(['kick', 'move']);
});

test('what the others have begun of a drain counts where a thread dies', async () => {
  expect(await scene([moved(2), 'dies']).devices.moveSome('a', 4, 'drain')).toMatchObject({ moving: 2 });
  await expect(scene(['dies', moved(0)]).devices.moveSome('a', 4, 'drain')).rejects.toThrow('died');
});

test('whom no thread has is still to leave, also where the thread dies by that question', async () => {
  const order = { departure: 1, count: 0, reason: 'proxy-drain', references: [] } as const;
  const answer = { ended: 0, left: 2 };
  expect(await scene([answer], () => 5).devices.dismiss(order)).toEqual({ ended: 0, left: 7 });
  let asked = 0;
  const dying = scene(['dies', answer], () => (asked++ === 0 ? 0 : 5));
  expect(await dying.devices.dismiss(order)).toEqual({ ended: 0, left: 7 });
});
