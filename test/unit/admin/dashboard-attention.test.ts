import { expect, test } from 'vitest';
import type { DrainView, StatusView } from '../../../src/admin/backend.ts';
import { byAttention, fairShares, problemsOf } from '../../../src/admin/dashboard/attention.js';
import { createMemoryBackend, memoryNode } from '../../support/memory-backend.ts';

const drain = (node: string, more: Partial<DrainView>): [string, DrainView] => [
  node,
  { ...{ node, state: 'moving', moved: 1, failed: 0, left: 9, stays: 0, rate: 10, pace: 1 }, ...more },
];
const status = (more: Partial<StatusView> = {}): StatusView => ({
  ...createMemoryBackend([memoryNode('a')]).status(),
  ...more,
});
const told = (problems: ReturnType<typeof problemsOf>) =>
  problems.map(({ tone, what }) => `${tone}: ${what}`);

test('nodes come in the order in which somebody should look, and disabled ones last, however they are', () => {
  const nodes = [
    memoryNode('node-10'),
    memoryNode('node-2'),
    memoryNode('off', { state: 'disabled', health: 'unhealthy' }),
    memoryNode('new', { health: 'unknown' }),
    memoryNode('moving', { state: 'draining' }),
    memoryNode('stuck', { state: 'draining' }),
    memoryNode('dead', { health: 'unhealthy' }),
    memoryNode('dying', { state: 'draining', health: 'unhealthy' }),
  ];
  const order = byAttention(nodes, new Map([drain('stuck', { state: 'blocked' }), drain('moving', {})]));
  expect(order.map(({ id }) => id)).toEqual([
    ...['dead', 'dying', 'stuck', 'moving', 'new', 'node-2', 'node-10', 'off'],
  ]);
});

test('the fair share is by weight, within the pool, and of those that take devices', () => {
  const shares = fairShares([
    memoryNode('a', { connections: 30, weight: 10 }),
    memoryNode('b', { connections: 30, weight: 30 }),
    memoryNode('c', { connections: 20, state: 'draining' }),
    memoryNode('d', { health: 'unhealthy' }),
    memoryNode('w', { connections: 7, pool: 'web' }),
  ]);
  expect(Object.fromEntries(shares)).toEqual({ a: 20, b: 60, c: 0, d: 0, w: 7 });
});

test('where no node takes devices, nothing is due to any', () => {
  expect(fairShares([memoryNode('a', { connections: 3, state: 'disabled' })]).get('a')).toBe(0);
});

test('what is wrong is told with its cause, the worst first, and what a person wanted is no problem', () => {
  const nodes = [
    memoryNode('a', { healthCause: 'tcp probe failed', health: 'unhealthy', connections: 3 }),
    memoryNode('b', { state: 'disabled', health: 'unhealthy' }),
    memoryNode('c', { state: 'draining' }),
    memoryNode('d'),
  ];
  const crls = [{ listener: 'mqtts://:8883', issuer: 'O=Example', state: 'tolerated' as const }];
  const drains = new Map([drain('c', { state: 'blocked', left: 4, stays: 4 })]);
  const [proxy] = [status().proxy];
  const missed = [proxy, { ...proxy, id: 'edge-2', lastSeen: 14 }];
  const store = { kind: 'redis' as const, up: false, cause: 'connect ECONNREFUSED' };
  const problems = problemsOf(status({ store, crls }), nodes, missed, drains);
  expect(told(problems)).toEqual([
    'bad: the redis store is down',
    'bad: a is unhealthy',
    'warn: the revocation list of O=Example has expired',
    'warn: the drain of c waits: 4 are left',
    'warn: proxy edge-2 is missed',
  ]);
  expect(problems[0]?.why).toMatch(/^connect ECONNREFUSED; /);
  expect(problems[1]?.why).toBe('tcp probe failed; 3 still connected');
});

test('a pool without a healthy node, a thread that is silent, and a cluster without nodes are told', () => {
  const dead = [memoryNode('a', { health: 'unhealthy' }), memoryNode('b', { pool: 'web' })];
  const silent = problemsOf(status({ silentThreads: [1] }), dead, [], new Map());
  expect(told(silent)).toEqual([
    'bad: data thread 1 of edge-1 does not answer',
    'bad: pool default has no healthy node',
    'bad: a is unhealthy',
  ]);
  const empty = status({ nodes: { total: 0, healthy: 0, enabled: 0 }, ready: false });
  expect(told(problemsOf(empty, [], [], new Map()))).toEqual(['bad: no node is known']);
  expect(problemsOf(status(), [memoryNode('a')], [], new Map())).toEqual([]);
});

test('certificates that expire, and descriptors that are too few, are told', () => {
  const inDays = (days: number) => new Date(Date.now() + (days + 0.52) * 86_400_000).toISOString();
  const of = (subject: string, days: number) => ({ listener: 'l', subject, notAfter: inDays(days) });
  const certificates = [of('CN=late', -2), of('CN=today', 0), of('CN=soon', 3), of('CN=fine', 60)];
  const descriptorShortage = { limit: 1024, needed: 20_100, maxConnections: 400 };
  const problems = problemsOf(status({ certificates, descriptorShortage }), [memoryNode('a')], [], new Map());
  expect(told(problems)).toEqual([
    'bad: the certificate CN=late has expired',
    'warn: the certificate CN=today expires in 12 hours',
    'warn: the certificate CN=soon expires in 3 days',
    'warn: the process may open too few files',
  ]);
});
