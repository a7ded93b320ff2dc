import { expect, test } from 'vitest';
import type { Connection } from '../../../src/connection/connection.ts';
import { SessionMemories } from '../../../src/data-plane/session-memories.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';

function scene(options: { maxMs?: number; followsSessions?: boolean } = {}) {
  const told: WorkerEvent[] = [];
  const clock = { ms: 0 };
  const memories = new SessionMemories({
    now: () => clock.ms,
    tell: (event) => told.push(event),
    maxMs: () => options.maxMs ?? 60_000,
    followsSessions: () => options.followsSessions ?? true,
  });
  return { memories, told, clock };
}

const whole = { subscriptions: 'AAAA', unsubscribed: undefined, expirySeconds: 30 };

/** @param memory absent: it is relayed */
function connection(memory?: object, clientId = 'd'): Connection {
  const session = memory && { session: { memory } };
  const wire = { guard: (run: () => void) => run() };
  return { clientId, number: 5, who: 7, route: { name: 'pool' }, session, wire } as unknown as Connection;
}

const device = { pool: 'pool', clientId: 'd', who: 7, connection: 5 };
const left = { type: 'session-left', ...device };

test('a persistent session is told when it begins, and with what is to be remembered when it ends, once', () => {
  const { memories, told } = scene();
  const begun = connection({ opening: 'begun', rest: whole });
  memories.opened(begun);
  memories.left(begun);
  memories.left(begun);
  expect(told).toEqual([
    { type: 'session-opened', ...device, isResumed: false },
    { ...left, subscriptions: 'AAAA', unsubscribed: undefined, ttlMs: 30_000 },
  ]);
});

test('what is remembered of one that is resumed is asked for, and reaches it while it is there', () => {
  const { memories, told } = scene();
  const recalled: string[] = [];
  const resumed = connection({ opening: 'resumed', recall: (text: string) => recalled.push(text) });
  memories.opened(resumed);
  expect(told).toEqual([{ type: 'session-opened', ...device, isResumed: true }]);
  memories.recalled(5, 'AAAA');
  memories.recalled(6, 'BBBB');
  memories.left(resumed);
  memories.recalled(5, 'CCCC');
  expect(recalled).toEqual(['AAAA']);
  expect(told.at(-1)).toEqual({ ...left, subscriptions: undefined, unsubscribed: undefined, ttlMs: 0 });
});

test('no session is remembered for longer than may be', () => {
  const { memories, told } = scene({ maxMs: 10_000 });
  const forever = connection({ opening: 'begun', rest: { ...whole, expirySeconds: Infinity } });
  memories.opened(forever);
  memories.left(forever);
  expect(told.at(-1)).toMatchObject({ subscriptions: 'AAAA', ttlMs: 10_000 });
});

test('nothing is told of one that ends with the connection, of nobody’s, and where none is remembered', () => {
  for (const [each, options] of [
    [connection({ opening: undefined }), {}],
    [connection({ opening: 'begun', rest: whole }, ''), {}],
    [connection({ opening: 'begun', rest: whole }), { maxMs: 0 }],
    [connection(), { followsSessions: false }],
  ] as const) {
    const { memories, told } = scene(options);
    memories.opened(each);
    memories.left(each);
    expect(told).toEqual([]);
  }
});

test('a connection that is relayed may change what was remembered: it does not hold any more', () => {
  const { memories, told } = scene();
  memories.opened(connection());
  memories.left(connection());
  expect(told).toEqual([{ type: 'session-opened', ...device, isResumed: false }]);
});

test('what a resumed session has is waited for until it is known, for 2 s at most, and while the connection is there', () => {
  const { memories, clock } = scene();
  const resumed = connection({ opening: 'resumed', recall: () => true });
  expect(memories.isAwaiting(resumed)).toBe(false);
  for (const end of [
    () => memories.recalled(5, 'AAAA'),
    () => memories.left(resumed),
    () => (clock.ms += 1_000),
  ]) {
    memories.opened(resumed);
    clock.ms += 1_000;
    expect(memories.isAwaiting(resumed)).toBe(true);
    end();
    expect(memories.isAwaiting(resumed)).toBe(false);
  }
  memories.opened(connection({ opening: 'begun', rest: whole }, 'd'));
  expect(memories.isAwaiting(resumed)).toBe(false);
});

test('one that goes to another process is told of there when it ends, and nothing is told here', () => {
  const [here, there] = [scene(), scene()];
  const begun = connection({ opening: 'begun', rest: whole });
  here.memories.opened(begun);
  here.told.length = 0;
  here.memories.forget(begun);
  here.memories.left(begun);
  there.memories.revive(begun);
  expect([here.told, there.told]).toEqual([[], []]);
  there.memories.left(begun);
  expect(there.told).toEqual([{ ...left, subscriptions: 'AAAA', unsubscribed: undefined, ttlMs: 30_000 }]);
});
