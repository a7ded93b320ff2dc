import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ConnectionLimiter,
  createConnectionLimiter,
  createLimiterMemory,
  forgetThread,
  type LimiterLimits,
  type LimiterMemory,
  limiterRefusals,
} from '../../../../src/policy/admission/connection-limiter.ts';
import { refusalConnack } from '../../../../src/protocol/mqtt/reason-codes.ts';

const open: LimiterLimits = {
  ...{ allow: [], deny: [], connectRate: 0, connectRatePerSource: 0 },
  ...{ maxConnectionsPerListener: 0, maxConnectionsPerSource: 0 },
};
const memoryFor = (threads = 1): LimiterMemory =>
  createLimiterMemory({ threads, listeners: 2, maxConnections: 10_000, seed: 0x1234_5678 });
const limiterWith = (
  limits: Partial<LimiterLimits>,
  memory = memoryFor(),
  thread = 0,
  listener = 0,
): ConnectionLimiter => createConnectionLimiter(memory, thread, listener, { ...open, ...limits });
const ip = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');

test('without limits everyone is let in, also who has no address any more', () => {
  const limiter = limiterWith({});
  for (let i = 0; i < 1000; i++) expect(limiter.admit(i % 2 === 0 ? '10.0.0.1' : '', 0)).toBeUndefined();
});

test.each([
  [{ deny: ['10.0.0.0/8'] }, '10.1.1.1', 'source-denied'],
  [{ deny: ['10.0.0.0/8'] }, '::ffff:10.1.1.1', 'source-denied'],
  [{ deny: ['10.0.0.0/8'] }, '192.0.2.1', undefined],
  [{ allow: ['10.0.0.0/8'] }, '192.0.2.1', 'source-not-allowed'],
  [{ allow: ['10.0.0.0/8'] }, '10.1.1.1', undefined],
  [{ allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, '10.1.1.1', 'source-denied'],
  [{ allow: ['10.0.0.0/8'] }, '', 'source-not-allowed'],
] as const)('%j and %s: %s', (limits, address, refusal) => {
  expect(limiterWith(limits).admit(address, 0)).toBe(refusal);
});

test('a source connects at its rate, whatever it offers, and leaves the listener’s rate to others', () => {
  const limiter = limiterWith({ connectRatePerSource: 200, connectRate: 1000 });
  let admitted = 0;
  let others = 0;
  for (let i = 0; i < 50_000; i++) {
    const nowMs = 1e6 + i / 50; // 50,000 a second, for one second
    if (limiter.admit('192.0.2.1', nowMs) === undefined) admitted++;
    if (i % 100 === 0 && limiter.admit(ip(0x0a00_0000 + i), nowMs) === undefined) others++;
  }
  expect(admitted).toBeGreaterThanOrEqual(399); // one second's worth at once, and the second itself
  expect(admitted).toBeLessThanOrEqual(400);
  expect(others).toBe(500);
});

test('a listener’s rate holds for all sources together, other listeners have their own', () => {
  const memory = memoryFor();
  const limiters = [0, 1].map((listener) => limiterWith({ connectRate: 10 }, memory, 0, listener));
  const results = (limiter?: ConnectionLimiter) =>
    Array.from({ length: 12 }, (_, i) => limiter?.admit(ip(i), 1e6));
  for (const limiter of limiters) {
    expect(results(limiter)).toEqual([...Array(10).fill(undefined), 'listener-rate', 'listener-rate']);
  }
});

test('the /64 of an IPv6 address is one source', () => {
  const limiter = limiterWith({ maxConnectionsPerSource: 1 });
  expect(limiter.admit('2001:db8:0:1::1', 0)).toBeUndefined();
  expect(limiter.admit('2001:db8:0:1:ffff::2', 0)).toBe('source-connections');
  expect(limiter.admit('2001:db8:0:2::1', 0)).toBeUndefined();
});

test('connections of a source are counted over all threads and listeners', () => {
  const memory = memoryFor(3);
  const limits = { maxConnectionsPerSource: 4 };
  const limiters = [0, 1, 2].map((thread) => limiterWith(limits, memory, thread, thread % 2));
  const admit = () => limiters.map((limiter) => limiter.admit('10.0.0.1', 0));
  expect([...admit(), ...admit()].filter((refusal) => refusal === undefined)).toHaveLength(4);
  limiters[1]?.release('10.0.0.1');
  expect(limiters[0]?.admit('10.0.0.1', 0)).toBeUndefined();
  expect(limiters[0]?.admit('10.0.0.1', 0)).toBe('source-connections');
});

test('the connections of a thread that died count no more once it is forgotten', () => {
  const memory = memoryFor(2);
  const [dying, living] = [0, 1].map((thread) =>
    limiterWith({ maxConnectionsPerListener: 1 }, memory, thread),
  );
  dying?.admit('10.0.0.1', 0);
  expect(living?.admit('10.0.0.2', 0)).toBe('listener-connections');
  forgetThread(memory, 0);
  expect(living?.admit('10.0.0.2', 0)).toBeUndefined();
});

test('every refusal has its reason code', () => {
  const codes = Object.entries(limiterRefusals).map(([label, refusal]) => [
    label,
    refusalConnack(5, refusal)[3],
  ]);
  expect(Object.fromEntries(codes)).toEqual({
    'source-denied': 0x8a,
    'source-not-allowed': 0x87,
    'source-rate': 0x9f,
    'source-connections': 0x97,
    'listener-rate': 0x9f,
    'listener-connections': 0x97,
  });
});

test('a limiter lets in whom a naive count lets in', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('admit' as const), source: fc.nat(5), waitMs: fc.nat(300) }),
    fc.record({ kind: fc.constant('release' as const), source: fc.nat(5), waitMs: fc.nat(300) }),
  );
  const limit = {
    connectRatePerSource: 4,
    connectRate: 8,
    maxConnectionsPerSource: 6,
    maxConnectionsPerListener: 12,
  };
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const limiter = limiterWith(limit);
      const inside: number[] = [];
      const tokens = new Map<number | 'all', number>();
      let nowMs = 1e6;
      for (const { kind, source, waitMs } of events) {
        nowMs += waitMs;
        for (const [who, has] of tokens) {
          const rate = who === 'all' ? limit.connectRate : limit.connectRatePerSource;
          tokens.set(who, Math.min(rate * 1000, has + waitMs * rate)); // thousandths
        }
        const address = ip(0x0a00_0000 + source);
        if (kind === 'release') {
          if (!inside.includes(source)) continue;
          inside.splice(inside.indexOf(source), 1);
          limiter.release(address);
          continue;
        }
        const own = tokens.get(source) ?? 4000;
        const all = tokens.get('all') ?? 8000;
        const expected =
          own < 1000
            ? 'source-rate'
            : all < 1000
              ? 'listener-rate'
              : inside.filter((one) => one === source).length >= limit.maxConnectionsPerSource
                ? 'source-connections'
                : inside.length >= limit.maxConnectionsPerListener
                  ? 'listener-connections'
                  : undefined;
        expect(limiter.admit(address, nowMs)).toBe(expected);
        if (expected !== undefined) continue;
        inside.push(source);
        tokens.set(source, own - 1000);
        tokens.set('all', all - 1000);
      }
    }),
    { numRuns: 300 },
  );
});

describe('a million sources', () => {
  test('cost no memory, keep nobody out who is slow, and hide nobody who is fast', () => {
    const memory = memoryFor();
    const limiter = limiterWith({ connectRatePerSource: 10, maxConnectionsPerSource: 10 }, memory);
    let refused = 0;
    let floodIn = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const nowMs = 1e6 + i / 20; // 20,000 a second from ever new sources, for 50 seconds
      const address = ip(0x0b00_0000 + i);
      if (limiter.admit(address, nowMs) === undefined) limiter.release(address);
      else refused++;
      if (i % 20 === 0 && limiter.admit('192.0.2.1', nowMs) === undefined) {
        floodIn++;
        limiter.release('192.0.2.1');
      }
    }
    expect(refused).toBeLessThan(10);
    expect(floodIn).toBeGreaterThan(400);
    expect(floodIn).toBeLessThanOrEqual(510);
    expect(memory.sourceCounts[0]?.every((cell) => cell === 0)).toBe(true);
  });
});

test('what another process has let in is counted, whatever the limits say', () => {
  const limiter = limiterWith({ maxConnectionsPerSource: 2, connectRatePerSource: 1 });
  for (let i = 0; i < 3; i++) limiter.readmit('10.0.0.1');
  expect(limiter.admit('10.0.0.1', 0)).toBe('source-connections');
  for (let i = 0; i < 2; i++) limiter.release('10.0.0.1');
  expect(limiter.admit('10.0.0.1', 0)).toBeUndefined();
});
