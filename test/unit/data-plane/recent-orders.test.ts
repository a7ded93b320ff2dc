import { expect, test } from 'vitest';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import type { Unstamped } from '../../../src/data-plane-api/device-order.ts';

const move = (clientId: string): Unstamped => ({ type: 'move', whom: { clientId }, to: 'b' });

function scene() {
  const orders = new RecentOrders({ now: () => 7 });
  /** An order that is answered by how many have heard it. */
  const given = (clientId: string, answer: number | Promise<number> = 0) =>
    orders.carry(
      move(clientId),
      async () => answer,
      (found) => found > 0,
    );
  return { orders, given };
}

const whom = ({ orders }: ReturnType<typeof scene>, number: number) =>
  orders.since(number).map((order) => 'clientId' in order.whom && order.whom.clientId);

test('an order that has reached whom it means is told nobody again; others are', async () => {
  const all = scene();
  const { orders, given } = all;
  expect(await given('found', 1)).toBe(1);
  await given('a');
  const { last } = orders;
  await given('b');
  expect([whom(all, 0), whom(all, last), whom(all, orders.last)]).toEqual([['a', 'b'], ['b'], []]);
  expect(orders.since(0)).toMatchObject([{ type: 'move', to: 'b', untilMs: 7 }, {}]);
});

test('whom a thread leaves that dies may not have heard the orders that it has not answered', async () => {
  const all = scene();
  const { orders, given } = all;
  await given('before');
  let die = (_: Error): void => undefined;
  const asked = given('a', new Promise<number>((_, reject) => (die = reject)));
  await given('b');
  expect(whom(all, orders.answered)).toEqual(['a', 'b']);
  die(new Error('it died'));
  await expect(asked).rejects.toThrow('it died');
  expect([whom(all, orders.answered), whom(all, 0)]).toEqual([[], ['before', 'a', 'b']]);
});

test('of several moves of a device the last one counts', async () => {
  const { orders, given } = scene();
  await given('a');
  await given('b');
  const other: Unstamped = { type: 'move', whom: { clientId: 'a' }, to: 'c' };
  await orders.carry(
    other,
    async () => 0,
    () => false,
  );
  expect(orders.since(0)).toEqual([
    { ...move('b'), untilMs: 7 },
    { ...other, untilMs: 7 },
  ]);
});

test('no more than a thousand are kept', async () => {
  const { orders, given } = scene();
  for (let i = 0; i < 1_200; i++) await given(`${i}`);
  expect([orders.since(1_100).length, orders.since(0).length]).toEqual([100, 1_000]);
});
