import { beforeEach, expect, test } from 'vitest';
import { type LeftSession, RememberedSessions } from '../../../src/membership/remembered-sessions.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import type { MembershipStore } from '../../../src/membership/store/store.ts';
import { Subscriptions } from '../../../src/session/subscriptions.ts';

// Proxies that share a store, and devices that come and go. Time is the test's.

let nowMs = 0;
let timers: { run: () => void; atMs: number }[] = [];
const clock = { now: () => nowMs };
let store: MembershipStore;
let forgotten: string[] = [];

beforeEach(() => {
  [nowMs, timers, forgotten] = [0, [], []];
  store = new MemoryStore(clock);
});

async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

async function pass(ms: number): Promise<void> {
  await settled();
  const untilMs = nowMs + ms;
  for (;;) {
    const next = timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
    if (next === undefined) break;
    timers = timers.filter((timer) => timer !== next);
    nowMs = next.atMs;
    next.run();
    await settled();
  }
  nowMs = untilMs;
}

/** A store that may be away, and whose commands may be held up. */
class Away {
  isAway = false;
  private held: (() => void)[] | undefined;

  hold(): void {
    this.held = [];
  }

  async release(): Promise<void> {
    const held = this.held ?? [];
    this.held = undefined;
    for (const go of held) go();
    await settled();
  }

  private async turn(): Promise<void> {
    if (this.held !== undefined) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (this.isAway) throw new Error('away');
  }

  takeSession: MembershipStore['takeSession'] = async (...args) => {
    await this.turn();
    return store.takeSession(...args);
  };
  keepSession: MembershipStore['keepSession'] = async (...args) => {
    await this.turn();
    return store.keepSession(...args);
  };
}

function proxy(start: string) {
  const answers: [connection: number, filters: string[]][] = [];
  const away = new Away();
  const memory = new RememberedSessions({
    start,
    store: away,
    recalled: (_, connection, text) => answers.push([connection, filtersOf(text)]),
    forgotten: (because) => forgotten.push(because),
    clock,
    timers: {
      setTimeout: (run, ms) => {
        const timer = { run, atMs: nowMs + ms };
        timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        timers = timers.filter((each) => each !== timer);
      },
    },
  });
  const device = { pool: 'pool', clientId: 'd', who: 7 };
  return {
    answers,
    away,
    memory,
    begins: (connection: number, who = 7) =>
      memory.opened({ ...device, who, connection, isResumed: false }, 0),
    resumes: (connection: number, who = 7) =>
      memory.opened({ ...device, who, connection, isResumed: true }, 0),
    leaves(connection: number, left: Partial<LeftSession> = {}): void {
      const rest = { subscriptions: undefined, unsubscribed: undefined, ttlMs: 60_000 };
      memory.left({ ...device, connection, ...rest, ...left });
    },
  };
}

function textOf(...filters: string[]): string {
  const all = new Subscriptions();
  for (const filter of filters) all.set({ filter: Buffer.from(filter), options: 0, identifier: 0 });
  return all.text;
}

function filtersOf(text: string): string[] {
  const filters: string[] = [];
  const log = Buffer.from(text, 'base64');
  for (let at = 0; at < log.length; at += 7 + log.readUInt16BE(at + 5))
    filters.push(log.toString('utf8', at + 7, at + 7 + log.readUInt16BE(at + 5)));
  return filters;
}

test('what one connection leaves, the next one is told when it has settled; at another proxy too', async () => {
  const [one, two] = [proxy('one'), proxy('two')];
  one.begins(1);
  one.leaves(1, { subscriptions: textOf('a', 'b/#') });
  await settled();
  two.resumes(1);
  await pass(1_249);
  expect(two.answers).toEqual([]);
  await pass(1);
  expect(two.answers).toEqual([[1, ['a', 'b/#']]]);
  two.leaves(1, { subscriptions: textOf('b/#') });
  await settled();
  one.resumes(2);
  await pass(1_250);
  expect(one.answers).toEqual([[2, ['b/#']]]);
});

test('a session that began anew has nothing of the one before', async () => {
  const one = proxy('one');
  one.begins(1);
  one.leaves(1, { subscriptions: textOf('a') });
  one.begins(2);
  one.leaves(2); // its node owed it an answer, so it is not known
  one.resumes(3);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('a connection that leaves before it is answered leaves what was there, with its changes', async () => {
  for (const waitMs of [0, 10, 1_250, 1_700]) {
    store = new MemoryStore(clock);
    const one = proxy('one');
    one.begins(1);
    one.leaves(1, { subscriptions: textOf('a', 'b') });
    one.resumes(2);
    if (waitMs > 0) await pass(waitMs);
    one.leaves(2, { subscriptions: textOf('c'), unsubscribed: textOf('b') });
    await settled();
    one.answers.length = 0;
    one.resumes(3);
    await pass(1_250);
    expect(one.answers).toEqual([[3, ['a', 'c']]]);
  }
});

test('changes to what is not known are not known either', async () => {
  const one = proxy('one');
  one.resumes(1);
  await pass(5_000);
  one.leaves(1, { subscriptions: textOf('c'), unsubscribed: '' });
  await settled();
  one.resumes(2);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('an earlier connection that is still ending is waited for', async () => {
  const [one, two] = [proxy('one'), proxy('two')];
  one.begins(1);
  await settled();
  two.resumes(1);
  await pass(1_000);
  one.leaves(1, { subscriptions: textOf('a') });
  await pass(1_500);
  expect(two.answers).toEqual([[1, ['a']]]);
});

test('but not for ever, and its word does not count any more', async () => {
  const [one, two] = [proxy('one'), proxy('two')];
  one.begins(1);
  await settled();
  two.resumes(1);
  await pass(6_000);
  one.leaves(1, { subscriptions: textOf('a') });
  await settled();
  two.leaves(1, { subscriptions: '', unsubscribed: textOf('a') });
  await settled();
  one.resumes(2);
  await pass(10_000);
  expect([...one.answers, ...two.answers]).toEqual([]);
});

test('the word of an earlier connection that comes late through a slow proxy is not passed over', async () => {
  const [one, slow, three] = [proxy('one'), proxy('slow'), proxy('three')];
  one.begins(1);
  one.leaves(1, { subscriptions: textOf('a', 'b') });
  await settled();
  slow.away.hold();
  slow.resumes(1);
  slow.leaves(1, { subscriptions: '', unsubscribed: textOf('b') });
  three.resumes(1); // and is given a and b
  await pass(500);
  await slow.away.release();
  await pass(10_000);
  expect(three.answers).toEqual([]);
  three.leaves(1, { subscriptions: '', unsubscribed: '' });
  await settled();
  one.resumes(2);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('the session of another device under the same client id is not taken for it', async () => {
  const one = proxy('one');
  one.begins(1);
  one.leaves(1, { subscriptions: textOf('a') });
  one.resumes(2, 8);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('what was changed while the store was away does not come back from it', async () => {
  const [one, two] = [proxy('one'), proxy('two')];
  one.begins(1);
  one.leaves(1, { subscriptions: textOf('a') });
  await settled();
  two.away.isAway = true;
  two.resumes(1);
  two.leaves(1, { subscriptions: '', unsubscribed: textOf('a') });
  await settled();
  two.away.isAway = false;
  two.memory.closeMissed();
  await settled();
  one.resumes(2);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('a store that is away when a connection ends is said, and costs nothing else', async () => {
  const one = proxy('one');
  one.begins(1);
  await settled();
  one.away.isAway = true;
  one.leaves(1, { subscriptions: textOf('a') });
  await settled();
  expect(forgotten).toEqual(['store-away']);
  one.away.isAway = false;
  one.resumes(2);
  await pass(10_000);
  expect(one.answers).toEqual([]);
});

test('it stops when the store has been told everything, or after its time', async () => {
  const one = proxy('one');
  one.begins(1);
  await settled();
  one.away.hold();
  one.leaves(1, { subscriptions: textOf('a') });
  let isStopped = false;
  void one.memory.stop(2_000).then(() => {
    isStopped = true;
  });
  await pass(1_999);
  expect(isStopped).toBe(false);
  await one.away.release();
  expect(isStopped).toBe(true);
  const two = proxy('two');
  two.resumes(2);
  await pass(1_250);
  expect(two.answers).toEqual([[2, ['a']]]);
  two.away.hold();
  two.leaves(2, { subscriptions: textOf('a') });
  isStopped = false;
  void two.memory.stop(2_000).then(() => {
    isStopped = true;
  });
  await pass(2_000);
  expect(isStopped).toBe(true);
});

test('the memory store forgets the longest untouched where there are too many, and tells', async () => {
  let told = 0;
  const small = new MemoryStore(clock, {
    maxBytes: () => 3_000,
    onForgotten: (count) => {
      told += count;
    },
  });
  const session = { who: 0, subscriptions: 'a'.repeat(1_000) };
  const client = (clientId: string) => ({ pool: 'pool', clientId });
  for (const id of ['a', 'b', 'c']) await small.keepSession(client(id), '1', session, 60_000);
  expect(told).toBe(1);
  expect(await small.takeSession(client('a'), '2', 'first')).toBe('unknown');
  expect(await small.takeSession(client('c'), '2', 'first')).toEqual(session);
});
