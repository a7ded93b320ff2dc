import { expect, test } from 'vitest';
import { RecentKicks } from '../../../src/data-plane/recent-kicks.ts';
import type { Command } from '../../../src/data-plane-api/messages.ts';
import { createConnectionGiver } from '../../../src/proxy/give-connections.ts';
import type { RunningParts } from '../../../src/proxy/running-parts.ts';
import { createConnectionTaker } from '../../../src/proxy/take-connections.ts';

/** A process of one thread, which has `devices` connections to give. */
function process(devices: number) {
  const told: Command[] = [];
  const kicks = new RecentKicks({ now: () => 7 });
  const device = { listener: 0, sockets: { device: { fd: 5 }, links: [] } };
  const thread = {
    ...{ number: 0, isAlive: true },
    tell: (command: Command) => void told.push(command),
    ask: async () => ({ devices: Array(devices).fill(device), busy: 0 }),
  };
  const given: unknown[] = [];
  const threads = {
    ...{ alive: [thread], awaited: 0, kicks, ready: async () => undefined },
    given: (_: unknown, kept: unknown, missed: unknown) => given.push([kept, missed]),
  };
  const parts = {
    ...{ common: {}, owners: {}, control: { cluster: { claims: {} } } },
    dataPlane: { threads, listeners: { keyAt: () => 'key', indexOf: () => 0 } },
  } as unknown as RunningParts;
  return { parts, kicks, told, given };
}

const kickOf = (clientId: string) => ({ whom: { clientId }, untilMs: 7 });

test('who is kicked while connections stand still is ended when they go on here, and at the new process with the next that it is told', async () => {
  const { parts, kicks, given } = process(2);
  kicks.add({ clientId: 'before' });
  const giver = createConnectionGiver(parts);
  expect((await giver.next()).kicks).toEqual([]);
  kicks.add({ clientId: 'a' });
  await giver.given([1]);
  expect((await giver.next()).kicks).toEqual([kickOf('a')]);
  kicks.add({ clientId: 'b' });
  giver.keepAll();
  expect(given).toEqual([
    [[1], [kickOf('a')]],
    ['all', [kickOf('b')]],
  ]);
  expect(giver.unsaidKicks()).toEqual([kickOf('b')]);
  expect(giver.unsaidKicks()).toEqual([]);
});

test('what is said with nothing to give waits for the last word', async () => {
  const { parts, kicks } = process(0);
  const giver = createConnectionGiver(parts);
  kicks.add({ clientId: 'a' });
  expect((await giver.next()).kicks).toEqual([]);
  expect(giver.unsaidKicks()).toEqual([kickOf('a')]);
});

test('the new process ends whom it is told behind the beginning of the batch', async () => {
  const { parts, told } = process(0);
  const taker = createConnectionTaker(parts);
  await taker.adopt([], [], [kickOf('a')]);
  expect(told).toEqual([]);
  await taker.begin();
  expect(told).toEqual([{ type: 'begin' }, { type: 'kick', request: 0, ...kickOf('a') }]);
  await expect(taker.adopt([], [], [{ whom: 'everybody' }])).rejects.toThrow('cannot be understood');
});

test('no more than a thousand are known of the last kicks', () => {
  const { kicks } = process(0);
  for (let i = 0; i < 1_200; i++) kicks.add({ clientId: `${i}` });
  expect(kicks.since(1_100)).toHaveLength(100);
  expect(kicks.since(0)).toHaveLength(1_000);
});
