import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connectionsElsewhere, Heartbeat, LEASE_BEATS } from '../../../src/membership/heartbeat.ts';
import type { LivingProxy, ProxyBeat } from '../../../src/membership/store/store.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const INTERVAL_MS = 1_000;
const of = (id: string, connections = 0): ProxyBeat => ({
  ...{ id, version: '1', host: 'h', pid: 1, engine: 'node', threads: 1, listeners: [], startedAt: '' },
  ...{ connections, nodeConnections: [] },
});

/** What the store was told: the connections of each beat, and who left. */
function scene(answer: () => Promise<void> = async () => {}) {
  const told: string[] = [];
  const leases: number[] = [];
  let connections = 0;
  const heartbeat = new Heartbeat({
    speaks: () => true,
    store: {
      beatProxy(beat, leaseMs) {
        told.push(`${beat.id} ${beat.connections}`);
        leases.push(leaseMs);
        return answer();
      },
      leaveProxy(id) {
        told.push(`${id} leaves`);
        return answer();
      },
    },
    intervalMs: INTERVAL_MS,
    beat: () => of('edge-1', ++connections),
  });
  return { heartbeat, told, leases };
}

test('each beat says what is true at that moment, and lasts for some intervals', async () => {
  const { heartbeat, told, leases } = scene();
  await heartbeat.beat();
  await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
  expect(told).toEqual(['edge-1 1', 'edge-1 2', 'edge-1 3']);
  expect(new Set(leases)).toEqual(new Set([LEASE_BEATS * INTERVAL_MS]));
});

test('beats of a slow store do not pile up, and go on when it has answered', async () => {
  const waiting: (() => void)[] = [];
  const { heartbeat, told } = scene(() => new Promise((resolve) => waiting.push(resolve)));
  const first = heartbeat.beat();
  await vi.advanceTimersByTimeAsync(5 * INTERVAL_MS);
  expect(told).toEqual(['edge-1 1']);
  waiting.shift()?.();
  await first;
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  expect(told).toEqual(['edge-1 1', 'edge-1 2']);
});

test('a store that is away fails nothing: the next beat is tried, and leaving succeeds', async () => {
  const { heartbeat, told } = scene(() => Promise.reject(new Error('away')));
  await heartbeat.beat();
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  await heartbeat.leave('edge-1');
  expect(told).toEqual(['edge-1 1', 'edge-1 2', 'edge-1 leaves']);
});

test('who has left does not beat again', async () => {
  const { heartbeat, told } = scene();
  await heartbeat.beat();
  await heartbeat.leave('edge-1');
  await vi.advanceTimersByTimeAsync(5 * INTERVAL_MS);
  expect([told, vi.getTimerCount()]).toEqual([['edge-1 1', 'edge-1 leaves'], 0]);
});

test('connections of the others are summed by node, without this proxy’s own', () => {
  const living = (id: string, nodeConnections: LivingProxy['nodeConnections']): LivingProxy => ({
    ...{ ...of(id), nodeConnections, lastSeen: 0 },
  });
  const proxies = [
    living('self', [['a', 100]]),
    living('two', [
      ['a', 1],
      ['constructor', 2],
    ]),
    living('three', [['a', 3]]),
  ];
  expect([...connectionsElsewhere(proxies, 'self')]).toEqual([
    ['a', 4],
    ['constructor', 2],
  ]);
  expect(connectionsElsewhere([], 'self').size).toBe(0);
});
