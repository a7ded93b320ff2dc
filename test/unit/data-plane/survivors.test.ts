import { expect, test } from 'vitest';
import { takeLeft } from '../../../src/data-plane/left-behind.ts';
import { RecentOrders } from '../../../src/data-plane/recent-orders.ts';
import { Survivors } from '../../../src/data-plane/survivors.ts';
import type { HandedDevice } from '../../../src/data-plane-api/hand-over-messages.ts';
import type { Command, ListenerSettings } from '../../../src/data-plane-api/messages.ts';
import { CLOSED, CONNECTION, OTHER } from '../../../src/engine/descriptors.ts';

/** With one link; the listener has this index. */
function device(fd: number, listener = 0): HandedDevice {
  const socket = (of: number) => ({ fd: of, tls: Uint8Array.of(7) });
  const sockets = { device: socket(fd), links: [socket(fd + 1)] };
  return { listener, sockets } as unknown as HandedDevice;
}
const listener = (index: number, url = `mqtt://127.0.0.1:${index}`): ListenerSettings =>
  ({ index, url }) as ListenerSettings;
const accepted = { pool: 'default', clientId: 'a', who: 0, sinceMs: 5 };

/** A thread that answers `adopt` with these refusals, or dies of it. */
function thread(answer: readonly number[] | 'dies' = []) {
  const told: Command['type'][] = [];
  const noted = new Map<number, number>();
  let adopted = 0;
  return {
    ...{ number: 9, told, noted, adopted: () => adopted },
    tell: ({ type }: Command) => void told.push(type),
    note: (fds: readonly number[], what: number) => {
      for (const fd of fds) noted.set(fd, what);
    },
    ask: async (ask: (request: number) => Command): Promise<never> => {
      const command = ask(1) as Extract<Command, { type: 'adopt' }>;
      told.push(command.type);
      expect(command.ofDead).toBe(true);
      adopted += command.devices.length;
      if (answer === 'dies') throw new Error('died');
      return { refused: answer.map((at) => ({ at, why: `no ${at}` })) } as never;
    },
  };
}

function scene(listeners: readonly ListenerSettings[] = [listener(0)], isAwaited = true) {
  const closed: number[] = [];
  const refused: string[] = [];
  const fates: [number, number | undefined][] = [];
  const now = { listeners, living: undefined as ReturnType<typeof thread> | undefined };
  const orders = new RecentOrders({ now: () => 5 });
  const survivors = new Survivors({
    orders,
    listeners: () => now.listeners,
    living: () => now.living,
    isAwaited: () => isAwaited,
    refused: (why) => refused.push(why),
    close: (listening, connections) => closed.push(...listening, ...connections),
  });
  const keep = (devices: readonly HandedDevice[], listening: readonly number[] = [], place = 0) =>
    survivors.keep(
      place,
      { devices, listening: listening.map((fd) => ({ index: 0, descriptors: [fd] })), listeners },
      (some, where) => fates.push([some.length, where]),
    );
  return { survivors, keep, orders, closed, refused, fates, now };
}

test('of what a thread reports only what it had noted as its own is taken, and each once', () => {
  const open = new Uint8Array(64);
  open.fill(CONNECTION, 10, 14);
  open[5] = OTHER;
  const listening = [
    { index: 0, descriptors: [5] },
    { index: 1, descriptors: [6] },
  ];
  const [first, again, foreign] = [device(10), device(10), device(20)];
  const left = takeLeft(open, [
    { type: 'left', devices: [first, again, foreign], listeners: [] },
    { type: 'left', devices: [], listeners: listening },
  ]);
  expect(left).toEqual({ devices: [first], listening: [listening[0]] });
  expect([...open.slice(5, 15)]).toEqual([0, 0, 0, 0, 0, 0, 0, CONNECTION, CONNECTION, 0]);
});

test('the next thread goes on with all in batches; they are its own before it has them, and keys are wiped', async () => {
  const { survivors, keep, closed, fates } = scene();
  const devices = Array.from({ length: 100 }, (_, i) => device(100 + 2 * i));
  keep(devices);
  survivors.superseded(accepted);
  survivors.superseded(accepted, 1); // is not meant
  const next = thread();
  await survivors.adopt(0, next);
  expect(next.told).toEqual(['adopt', 'begin', 'adopt', 'begin', 'superseded']);
  expect(fates).toEqual([
    [64, 9],
    [36, 9],
  ]);
  expect([next.noted.size, new Set(next.noted.values())]).toEqual([200, new Set([CONNECTION])]);
  expect(
    devices.every(({ sockets }) => sockets.device.tls?.[0] === 0 && sockets.links[0]?.tls?.[0] === 0),
  ).toBe(true);
  expect(closed).toEqual([]);
  await survivors.adopt(0, next);
  expect(next.adopted()).toBe(100);
});

test('what is refused ends, and is not the thread’s any more', async () => {
  const { survivors, keep, closed, fates, refused } = scene();
  keep([device(10), device(20), device(30)]);
  const next = thread([1]);
  await survivors.adopt(0, next);
  expect([closed, refused]).toEqual([[20, 21], ['no 1']]);
  expect(fates).toEqual([
    [2, 9],
    [1, undefined],
  ]);
  expect([next.noted.get(10), next.noted.get(20)]).toEqual([CONNECTION, CLOSED]);
});

test('of a thread that dies meanwhile ends what it was given; the rest waits for the next, or ends where there is none', async () => {
  for (const isNext of [true, false]) {
    const { survivors, keep, closed, fates } = scene(undefined, isNext);
    keep(Array.from({ length: 65 }, (_, i) => device(100 + 2 * i)));
    await survivors.adopt(0, thread('dies'));
    expect(survivors.at(0)).toHaveLength(isNext ? 1 : 0);
    keep([]);
    const last = thread();
    await survivors.adopt(0, last);
    expect([last.adopted(), closed]).toEqual(isNext ? [1, []] : [0, [228, 229]]);
    expect(fates).toEqual([
      [64, undefined],
      [1, isNext ? 9 : undefined],
    ]);
  }
});

test('of what was offered to another process when the thread died, the rest goes on at the next one', async () => {
  const { survivors, closed, fates } = scene();
  const dead = { offered: [device(10), device(20), device(30)] };
  expect(survivors.given(0, dead, 'all', 0)).toBe(false); // it lives
  survivors.offer(dead, (some, where) => fates.push([some.length, where]));
  expect(survivors.given(0, dead, [1], 0)).toBe(true);
  expect(closed).toEqual([10, 11, 30, 31]); // the other process has its own of these
  const next = thread();
  await survivors.adopt(0, next);
  expect([...next.noted.keys()]).toEqual([20, 21]);
  expect(fates).toEqual([
    [2, undefined],
    [1, 9],
  ]);
  expect(survivors.given(0, dead, 'all', 0)).toBe(false); // it was told already
});

test('what people order meanwhile is done when they go on, also of what another process did not take', async () => {
  const { survivors, keep, orders } = scene();
  const order = (type: 'kick' | 'move') =>
    orders.carry(
      { type, whom: { clientId: 'a' }, to: 'b' },
      async () => 0,
      () => false,
    );
  await order('kick'); // they have heard it
  keep([device(10)]);
  await order('kick');
  await order('move');
  const next = thread();
  await survivors.adopt(0, next);
  expect(next.told).toEqual(['adopt', 'begin', 'kick', 'move']);
  const dead = { offered: [device(20)] };
  survivors.offer(dead, () => undefined);
  const { last } = orders;
  await order('move');
  survivors.given(0, dead, [0], last);
  const other = thread();
  await survivors.adopt(0, other);
  expect(other.told).toEqual(['adopt', 'begin', 'move']);
});

test('an order that the thread had not answered when it died is said again', async () => {
  const { survivors, keep, orders } = scene();
  let die = (_: Error): void => undefined;
  const asked = orders.carry(
    { type: 'kick', whom: { clientId: 'a' } },
    () => new Promise<number>((_, reject) => (die = reject)),
    () => false,
  );
  keep([device(10)]);
  die(new Error('it died'));
  await expect(asked).rejects.toThrow('it died');
  const next = thread();
  await survivors.adopt(0, next);
  expect(next.told).toEqual(['adopt', 'begin', 'kick']);
});

test('they stand still, and are counted, until they begin at the next thread', async () => {
  const { survivors, keep } = scene();
  keep([device(10), device(20)]);
  const counts: number[] = [survivors.count];
  const next = thread();
  const adopting = survivors.adopt(0, {
    ...next,
    tell: ({ type }: Command) => void counts.push(type === 'begin' ? survivors.count : -1),
  });
  counts.push(survivors.count);
  await adopting;
  expect([...counts, survivors.count]).toEqual([2, 2, 2, 0]);
});

test('devices of a listener that goes while they are being given end at the next thread', async () => {
  const { survivors, keep, now } = scene([listener(0), listener(1)]);
  keep([device(10, 0), device(20, 1)]);
  const next = thread();
  const told: unknown[] = [];
  const adopting = survivors.adopt(0, { ...next, tell: (command: Command) => void told.push(command) });
  now.listeners = [listener(0)];
  await adopting;
  expect(told).toEqual([{ type: 'begin' }, { type: 'endAll', reason: 'listener-removed', listener: 1 }]);
});

test('devices of a listener that is another by now end', async () => {
  const { survivors, keep, closed, fates, now } = scene([listener(0), listener(1)]);
  keep([device(10, 0), device(20, 1)]);
  now.listeners = [listener(0), listener(1, 'mqtt://127.0.0.1:7')];
  const next = thread();
  await survivors.adopt(0, next);
  expect([next.adopted(), closed]).toEqual([1, [20, 21]]);
  expect(fates).toEqual([
    [1, undefined],
    [1, 9],
  ]);
});

test('the next thread listens at the sockets of the last one, and at none that is closed or was left before', () => {
  const { survivors, keep, closed } = scene([listener(0)]);
  keep([], [50]);
  keep([], [51]); // the next one died too
  expect(closed).toEqual([50]);
  const next = thread();
  expect(survivors.inherit(0, next, [listener(0), listener(1)])).toEqual([
    { ...listener(0), inherited: [51] },
    { ...listener(1), inherited: undefined },
  ]);
  expect(next.noted).toEqual(new Map([[51, OTHER]]));
  expect(survivors.inherit(0, next, [listener(0)])).toEqual([{ ...listener(0), inherited: undefined }]);
  keep([], [52]);
  expect(survivors.inherit(0, next, [listener(2)])).toMatchObject([{ inherited: undefined }]);
  expect(closed).toEqual([50, 52]);
});

test('where no thread comes, all end', () => {
  const { survivors, keep, closed, fates } = scene();
  keep([device(10)], [50]);
  keep([device(20)], [60], 1);
  survivors.end(0);
  expect(closed).toEqual([50, 10, 11]);
  survivors.endAll({ devices: [device(30)], listening: [], listeners: [] });
  expect(closed.slice(3)).toEqual([60, 20, 21, 30, 31]);
  expect(fates).toEqual([
    [1, undefined],
    [1, undefined],
  ]);
});

test('who waits for a thread that may not come goes to one that lives; without any they wait on, or end', () => {
  for (const [isAwaited, comesSoon, fate] of [
    [true, true, 'waits'],
    [true, false, 'waits'],
    [false, false, 'ends'],
  ] as const) {
    const { survivors, keep, closed, now } = scene(undefined, isAwaited);
    keep([device(10)]);
    survivors.settle(0, true, comesSoon);
    expect(closed).toEqual(fate === 'ends' ? [10, 11] : []);
    keep([device(20)]);
    now.living = thread();
    survivors.settle(0, true, comesSoon);
    expect(now.living.adopted() > 0).toBe(!comesSoon);
    keep([device(30)]);
    survivors.settle(0, false, comesSoon);
    expect(closed.slice(-2)).toEqual([30, 31]);
  }
});

test('when no thread is started any more, who waits for none goes to one that lives, and what listens there is closed', async () => {
  const { survivors, keep, closed, now } = scene(undefined, false);
  keep([device(10)], [50], 0);
  keep([device(20)], [60], 1);
  expect(survivors.count).toBe(2);
  now.living = thread();
  survivors.noneIsStarted((place) => place === 1); // is being started
  await Promise.resolve();
  expect([now.living.adopted(), survivors.count, closed]).toEqual([1, 1, [50]]);
  now.living = undefined;
  survivors.noneIsStarted(() => false);
  expect([survivors.count, closed]).toEqual([0, [50, 60, 20, 21]]);
});

test('where a thread dies that none follows, another goes on with the rest', async () => {
  const { survivors, keep, fates, now } = scene(undefined, false);
  keep(Array.from({ length: 65 }, (_, i) => device(100 + 2 * i)));
  now.living = thread();
  await survivors.adopt(0, thread('dies'));
  expect([now.living.adopted(), survivors.count]).toEqual([1, 0]);
  expect(fates).toEqual([
    [64, undefined],
    [1, 9],
  ]);
});
