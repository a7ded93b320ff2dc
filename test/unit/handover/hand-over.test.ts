import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { DescriptorSocket, Parcel } from '../../../src/engine/linux/descriptor-socket.ts';
import { HandOverError, openChannel } from '../../../src/handover/channel.ts';
import { type Giver, give } from '../../../src/handover/give.ts';
import {
  type FromNew,
  type FromOld,
  fromNew,
  fromOld,
  PROTOCOL,
  VALUE_FORMAT,
} from '../../../src/handover/protocol.ts';
import { greet, type Taker, takeConnections, takeListeners, takenOver } from '../../../src/handover/take.ts';

/** Two sockets of one pair. `cut` is asked before each parcel is sent: true ends the sender, before the parcel has left it. */
function sockets(cut: (sender: 'old' | 'new') => boolean) {
  const ends = { old: end(), new: end() };
  function end() {
    return { queue: [] as Parcel[], waiting: undefined as (() => void) | undefined, isClosed: false };
  }
  const die = (): void => {
    for (const each of [ends.old, ends.new]) {
      each.isClosed = true;
      each.waiting?.();
    }
  };
  const socket = (own: 'old' | 'new', other: 'old' | 'new'): DescriptorSocket => ({
    async send(parcel) {
      if (ends[own].isClosed) throw new Error('gone');
      if (cut(own)) {
        die();
        throw new Error('dead');
      }
      ends[other].queue.push(parcel);
      ends[other].waiting?.();
    },
    async receive() {
      const { queue } = ends[own];
      while (queue.length === 0 && !ends[own].isClosed)
        await new Promise<void>((resolve) => {
          ends[own].waiting = resolve;
        });
      return queue.shift();
    },
    close: die,
    release: () => 3,
  });
  return { old: socket('old', 'new'), new: socket('new', 'old'), die };
}

type Place = 'old' | 'frozen' | 'given' | 'adopted' | 'new';

/** Twelve connections, of which each process says where they are for it. */
function scene(options: { refused?: readonly number[]; busyLooks?: number } = {}) {
  const all = Array.from({ length: 12 }, (_, i) => i);
  const atOld = new Map<number, Place>(all.map((i) => [i, 'old']));
  const atNew = new Map<number, Place>();
  let batch: number[] = [];
  let adopted: number[] = [];
  let busyLooks = options.busyLooks ?? 0;
  const said: string[] = [];
  const refuses = (i: number): boolean => options.refused?.includes(i) ?? false;
  const tried = new Set<number>();
  const giver: Giver = {
    state: () => ({ state: { id: 'edge-1' }, descriptors: [42] }),
    listeners: async () => ({ listeners: [{ key: 'mqtt://a', count: 1 }], descriptors: [17] }),
    hold: () => void said.push('hold'),
    async next() {
      const busy = busyLooks > 0 ? 1 : 0;
      batch = all.filter((i) => atOld.get(i) === 'old' && !tried.has(i) && i !== busy - 1).slice(0, 5);
      if (batch.length === 0) busyLooks--;
      for (const i of batch) {
        atOld.set(i, 'frozen');
        tried.add(i);
      }
      return {
        connections: batch,
        descriptors: batch.map((i) => 100 + i),
        orders: [`d${batch.length}`],
        busy,
      };
    },
    async given(refused) {
      for (const [at, i] of batch.entries()) atOld.set(i, refused.includes(at) ? 'old' : 'given');
    },
    back: () => keepAll(),
    async retire() {
      said.push('retire');
      return { last: true };
    },
  };
  const taker: Taker = {
    async adopt(connections, descriptors, orders) {
      const offered = z.array(z.int()).parse(connections);
      if (offered.length === 0) said.push(`ordered: ${orders}`);
      if (offered.length === 0) return [];
      expect(descriptors).toEqual(offered.map((i) => 100 + i));
      expect(orders).toEqual([`d${offered.length}`]);
      adopted = offered.filter((i) => !refuses(i));
      for (const i of adopted) atNew.set(i, 'adopted');
      return [...offered.keys()].filter((at) => refuses(offered[at] as number));
    },
    async begin() {
      for (const i of adopted) atNew.set(i, 'new');
    },
  };
  /** The new process is dead: the old one goes on. */
  const keepAll = (): void => {
    for (const i of all) if (atOld.get(i) === 'frozen') tried.delete(i);
    for (const i of all) if (atOld.get(i) === 'frozen') atOld.set(i, 'old');
  };
  return { all, atOld, atNew, giver, taker, said, keepAll };
}

/** As both processes see them: which are left by their descriptors, above those of connections. */
function tokens() {
  const left = new Set<number>();
  let last = 1000;
  return {
    create() {
      left.add(++last);
      return last;
    },
    take: (descriptor: number) => left.delete(descriptor),
    close: () => {},
  };
}

async function takeAll(
  socket: DescriptorSocket,
  taker: Taker,
  introduction: Omit<Parameters<typeof greet>[1], 'version'> = {},
  token = options.token,
) {
  const channel = openChannel(socket, fromOld, fromNew);
  const greeted = await greet(channel, { version: '2.0.0', ...introduction });
  const { listeners } = await takeListeners(channel);
  const last = await takeConnections(channel, taker, token);
  await takenOver(channel);
  return { greeted, listeners, last };
}

const options = {
  startTimeoutMs: 5_000,
  batchTimeoutMs: 5_000,
  stepTimeoutMs: 5_000,
  settleMs: 300,
  kill: async () => {},
  token: tokens(),
  now: () => 0,
  sleep: async () => {},
};

test('everything goes over, with the descriptors that belong to it', async () => {
  const { all, atOld, atNew, giver, taker, said } = scene({ busyLooks: 2 });
  const pair = sockets(() => false);
  const [given, taken] = await Promise.all([
    give(openChannel(pair.old, fromNew, fromOld), giver, options),
    takeAll(pair.new, taker),
  ]);
  expect(given).toEqual({ version: '2.0.0', given: 12 });
  expect(taken.greeted?.state).toEqual({ id: 'edge-1' });
  expect(taken.greeted?.descriptors).toEqual([42]);
  expect(taken.listeners).toEqual([{ key: 'mqtt://a', count: 1 }]);
  expect(taken.last?.state).toEqual({ last: true });
  expect(all.map((i) => [atOld.get(i), atNew.get(i)])).toEqual(all.map(() => ['given', 'new']));
  expect(said).toEqual(['hold', 'retire']);
});

test('what the new process refuses goes on at the old one', async () => {
  const { atOld, atNew, giver, taker } = scene({ refused: [3, 11] });
  const pair = sockets(() => false);
  const [{ given }] = await Promise.all([
    give(openChannel(pair.old, fromNew, fromOld), giver, options),
    takeAll(pair.new, taker),
  ]);
  expect(given).toBe(10);
  expect([3, 11].map((i) => [atOld.get(i), atNew.get(i)])).toEqual([
    ['old', undefined],
    ['old', undefined],
  ]);
});

test('behind each batch devices have as long for themselves as it took, up to 20 ms', async () => {
  const { giver, taker } = scene();
  const pair = sockets(() => false);
  const takesMs = [7, 30, 3, 0];
  let nowMs = 0;
  const next = (): ReturnType<Giver['next']> => {
    nowMs += takesMs.shift() ?? 0;
    return giver.next();
  };
  const rests: number[] = [];
  const sleep = async (ms: number): Promise<void> => void rests.push(ms);
  const timed = { ...options, now: () => nowMs, sleep };
  await Promise.all([
    give(openChannel(pair.old, fromNew, fromOld), { ...giver, next }, timed),
    takeAll(pair.new, taker),
  ]);
  expect(rests).toEqual([7, 20, 3]);
});

test('connections that stay busy are given up in the end', async () => {
  const { atOld, giver, taker } = scene({ busyLooks: Number.POSITIVE_INFINITY });
  let nowMs = 0;
  const pair = sockets(() => false);
  const clock = {
    now: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  await Promise.all([
    give(openChannel(pair.old, fromNew, fromOld), giver, { ...options, ...clock }),
    takeAll(pair.new, taker),
  ]);
  expect(nowMs).toBe(300);
  expect(atOld.get(0)).toBe('old');
});

test.each([
  [
    'does not speak the protocol',
    { protocols: [99] },
    `version 2.0.0 does not speak protocol ${PROTOCOL} of the hand-over; restart the proxy instead`,
  ],
  [
    'runs on a Node.js that cannot read what this one writes',
    { format: VALUE_FORMAT - 1, node: 'v1.0.0' },
    `Node.js v1.0.0 cannot read what Node.js ${process.version} writes; restart the proxy instead`,
  ],
])('a process that %s is refused before anything moves', async (_, introduction, message) => {
  const { all, atOld, giver, taker, said } = scene();
  const pair = sockets(() => false);
  const [given, taken] = await Promise.allSettled([
    give(openChannel(pair.old, fromNew, fromOld), giver, options),
    takeAll(pair.new, taker, introduction),
  ]);
  for (const result of [given, taken]) expect(result).toMatchObject({ reason: { message } });
  expect(all.map((i) => atOld.get(i))).toEqual(all.map(() => 'old'));
  expect(said).toEqual([]);
});

test('one that does not answer in time is given up', async () => {
  const { giver } = scene();
  const pair = sockets(() => false);
  const given = give(openChannel(pair.old, fromNew, fromOld), giver, { ...options, startTimeoutMs: 20 });
  await expect(given).rejects.toThrow('it has not answered within 0.02 s');
});

test('what is said out of turn, or is no message, ends the hand-over', async () => {
  for (const [message, why] of [
    [{ type: 'over' }, "it says 'over' out of turn"],
    [{ type: 'hello', protocols: 'all' }, 'does not understand'],
    [{ type: 'abort', why: 'no room on disk' }, 'no room on disk'],
  ] as const) {
    const { giver } = scene();
    const pair = sockets(() => false);
    const given = give(openChannel(pair.old, fromNew, fromOld), giver, options);
    await openChannel(pair.new, fromOld, fromNew).say(message as never);
    await expect(given).rejects.toThrow(why);
    await expect(given).rejects.toBeInstanceOf(HandOverError);
  }
});

test('what cannot be read at all, such as the format of a later V8, ends it likewise', async () => {
  const later = fromOld.write({ type: 'listeners', listeners: [] });
  later[1] = VALUE_FORMAT + 100;
  for (const hears of [fromNew, fromOld]) {
    const pair = sockets(() => false);
    await pair.old.send({ bytes: later, descriptors: [] });
    const heard = openChannel(pair.new, hears as typeof fromOld, fromNew).hear(['listeners']);
    await expect(heard).rejects.toThrow('the other process says what this one does not understand');
    await expect(heard).rejects.toBeInstanceOf(HandOverError);
  }
});

test('what a process says that takes over, and why it is refused, can be read by every Node.js: it is JSON', () => {
  const taken: FromNew = { type: 'taken', refused: [3] };
  const refuse: FromOld = { type: 'refuse', why: 'a reason' };
  expect(Buffer.from(fromNew.write(taken)).toString()).toBe(JSON.stringify(taken));
  expect(Buffer.from(fromOld.write(refuse)).toString()).toBe(JSON.stringify(refuse));
  expect(fromNew.read(fromNew.write(taken))).toEqual(taken);
  expect(fromOld.read(fromOld.write(refuse))).toEqual(refuse);
});

/** Both processes say twelve messages, if nobody dies. */
const MESSAGES = 12;

test.each(
  Array.from({ length: MESSAGES }, (_, i) => i),
)('either process may die instead of saying message %i: each connection goes on once', async (deadly) => {
  const { all, atOld, atNew, giver, taker, keepAll } = scene();
  let messages = 0;
  let dead: 'old' | 'new' | undefined;
  const pair = sockets((sender) => {
    if (messages++ !== deadly) return false;
    dead = sender;
    return true;
  });
  const [given, taken] = await Promise.allSettled([
    give(openChannel(pair.old, fromNew, fromOld), giver, { ...options, kill: async () => pair.die() }),
    takeAll(pair.new, taker),
  ]);
  expect(dead).toBeDefined();
  if (dead === 'new') {
    expect(given.status).toBe('rejected');
    keepAll();
    const lost = all.filter((i) => atOld.get(i) === 'given');
    expect(lost.every((i) => atNew.get(i) === 'new')).toBe(true); // only what was the new one's already
    expect(all.every((i) => ['old', 'given'].includes(atOld.get(i) ?? ''))).toBe(true);
  } else {
    expect(taken.status).toBe('fulfilled');
    const lost = all.filter((i) => atNew.get(i) === undefined);
    expect(lost.every((i) => ['old', 'frozen'].includes(atOld.get(i) ?? ''))).toBe(true); // it never left the old one
    expect([...atNew.values()].every((place) => place === 'new')).toBe(true); // nothing stands still for ever
  }
});

/** A new process that says all it should before the first batch, and takes its token; what it does then is up to the test. */
async function untilFirstBatch(socket: DescriptorSocket, token = options.token) {
  const channel = openChannel(socket, fromOld, fromNew);
  await greet(channel, { version: '2.0.0' });
  await takeListeners(channel);
  await channel.say({ type: 'listening' });
  const batch = await channel.hear(['batch']);
  token.take(batch?.descriptors[0] ?? -1);
  return channel;
}

test('a new process that takes a batch and does not answer is killed, and only then the old one goes on with the batch', async () => {
  const { atOld, giver, keepAll } = scene();
  const pair = sockets(() => false);
  let placesAtKill: (Place | undefined)[] = [];
  const kill = async (): Promise<void> => {
    placesAtKill = [0, 1, 2, 3, 4].map((i) => atOld.get(i));
    pair.die();
  };
  void untilFirstBatch(pair.new);
  const given = give(openChannel(pair.old, fromNew, fromOld), giver, {
    ...options,
    batchTimeoutMs: 20,
    kill,
  });
  await expect(given).rejects.toThrow('it has not answered within 0.02 s');
  expect(new Set(placesAtKill)).toEqual(new Set(['frozen']));
  keepAll();
  expect(new Set(atOld.values())).toEqual(new Set(['old']));
});

test('nor does a batch stand still longer where the new process does not even take it', async () => {
  const { giver } = scene();
  const pair = sockets(() => false);
  const send: DescriptorSocket['send'] = (parcel) =>
    parcel.descriptors.length > 4 ? new Promise(() => {}) : pair.old.send(parcel);
  void untilFirstBatch(pair.new).catch(() => undefined);
  const given = give(openChannel({ ...pair.old, send }, fromNew, fromOld), giver, {
    ...{ ...options, batchTimeoutMs: 20 },
    kill: async () => pair.die(),
  });
  await expect(given).rejects.toThrow('it has not answered within 0.02 s');
});

test('what it had said by its death holds: it may have begun', async () => {
  const { all, atOld, giver, keepAll } = scene();
  const pair = sockets(() => false);
  const begun = untilFirstBatch(pair.new);
  const kill = async (): Promise<void> => {
    await (await begun).say({ type: 'taken', refused: [1] } as never);
    pair.die();
  };
  const given = give(openChannel(pair.old, fromNew, fromOld), giver, {
    ...options,
    batchTimeoutMs: 20,
    kill,
  });
  await expect(given).rejects.toThrow('it has not answered');
  keepAll();
  expect(all.filter((i) => atOld.get(i) === 'given')).toEqual([0, 2, 3, 4]);
  expect(all.every((i) => ['old', 'given'].includes(atOld.get(i) ?? ''))).toBe(true);
});

test('what a new process is late for goes on at the old one meanwhile, and is offered again when that is there again', async () => {
  const { all, atOld, atNew, giver, taker, said } = scene();
  const pair = sockets(() => false);
  const back = vi.fn(() => {
    giver.back();
    expect(new Set(atOld.values())).toEqual(new Set(['old']));
    hangEnds();
  });
  let hangEnds = (): void => {};
  const hang = new Promise<void>((resolve) => {
    hangEnds = resolve;
  });
  const slow: DescriptorSocket = {
    ...pair.new,
    async receive() {
      const parcel = await pair.new.receive();
      if ((parcel?.descriptors.length ?? 0) > 4) await hang;
      return parcel;
    },
  };
  const [given] = await Promise.all([
    give(openChannel(pair.old, fromNew, fromOld), { ...giver, back }, { ...options, batchTimeoutMs: 20 }),
    takeAll(slow, taker),
  ]);
  expect([back.mock.calls.length, given.given]).toEqual([1, 12]);
  expect(all.map((i) => [atOld.get(i), atNew.get(i)])).toEqual(all.map(() => ['given', 'new']));
  expect(said).toEqual(['hold', 'ordered: d5', 'retire']);
});

test('one that is late for too many in a row is given up', async () => {
  const { atOld, atNew, giver, taker } = scene();
  const pair = sockets(() => false);
  const none = { ...options.token, take: () => true };
  const receive: DescriptorSocket['receive'] = () =>
    new Promise((resolve) => pair.new.receive().then(resolve));
  void takeAll({ ...pair.new, receive }, taker, undefined, { ...tokens(), take: () => false }).catch(
    () => undefined,
  );
  const heard: DescriptorSocket['receive'] = async () => {
    const parcel = await pair.old.receive();
    const type = parcel && (fromNew.read(parcel.bytes) as FromNew).type;
    if (type === 'late') await new Promise((resolve) => setTimeout(resolve, 40));
    return parcel;
  };
  const given = give(openChannel({ ...pair.old, receive: heard }, fromNew, fromOld), giver, {
    ...{ ...options, batchTimeoutMs: 20, token: none },
  });
  await expect(given).rejects.toThrow('it has taken none of 6 batches in time');
  expect([new Set(atOld.values()), atNew.size]).toEqual([new Set(['old']), 0]);
});

test('a process that takes nothing from a socket that is full is given up', async () => {
  vi.useFakeTimers();
  try {
    const { old } = sockets(() => false);
    const full = { ...old, send: () => new Promise<void>(() => {}) };
    const said = openChannel(full, fromOld, fromNew).say({ type: 'over' });
    const failed = expect(said).rejects.toThrow('it has not answered within 10 s');
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
  } finally {
    vi.useRealTimers();
  }
});

test('an old process that answers nothing before it has given anything is given up by the new one', async () => {
  vi.useFakeTimers();
  try {
    const pair = sockets(() => false);
    const greeted = greet(openChannel(pair.new, fromOld, fromNew), { version: '2.0.0' });
    const failed = expect(greeted).rejects.toThrow('it has not answered within 60 s');
    await vi.advanceTimersByTimeAsync(60_000);
    await failed;
  } finally {
    vi.useRealTimers();
  }
});
