import { expect, test } from 'vitest';
import type { NodeView, PoolView, StatusView } from '../../../src/admin/backend.ts';
import { findingsOf } from '../../../src/cli/findings.ts';
import { createMemoryBackend, memoryNode } from '../../support/memory-backend.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const DAY_MS = 86_400_000;
const at = (days: number) => new Date(NOW_MS + days * DAY_MS).toISOString();

function look(more: Partial<StatusView> = {}, nodes: readonly NodeView[] = [memoryNode('a')]): string[] {
  const backend = createMemoryBackend(nodes);
  const pools = backend.pools() as readonly PoolView[];
  const findings = findingsOf({ status: { ...backend.status(), ...more }, nodes, pools }, NOW_MS);
  return findings.map(({ what, help }) => `${what} | ${help}`);
}

test('where nothing is wrong, nothing is found', () => {
  const certificates = [{ listener: 'mqtts://[::]:8883', subject: 'CN=a', notAfter: at(60) }];
  const crls = [
    { listener: 'mqtts://[::]:8883', issuer: 'CN=ca', nextUpdate: at(7), state: 'valid' as const },
  ];
  expect(look({ certificates, crls })).toEqual([]);
});

test('a node that is draining or disabled is meant to be', () => {
  const nodes = [
    memoryNode('a'),
    memoryNode('b', { state: 'draining' }),
    memoryNode('c', { state: 'disabled' }),
  ];
  expect(look({}, nodes)).toEqual([]);
});

test('an unhealthy node, with cause and since when', () => {
  const ill = memoryNode('b', { health: 'unhealthy', healthCause: 'ECONNREFUSED', healthSince: at(0) });
  expect(look({}, [memoryNode('a'), ill])).toEqual([
    `node b is unhealthy since ${at(0)}: ECONNREFUSED | breakwater node inspect b`,
  ]);
});

test('panic mode comes before the nodes that it is about', () => {
  const found = look({ ready: false }, [memoryNode('a', { health: 'unhealthy' })]);
  expect(found).toEqual([
    'no node of pool default is healthy: all of them are tried (panic mode) | breakwater node inspect a',
    'node a is unhealthy | breakwater node inspect a',
  ]);
});

test('a pool without nodes, or without one that is enabled', () => {
  expect(look({ ready: false }, [])).toEqual([
    'pool default has no node | breakwater node add URL --pool default',
  ]);
  expect(look({ ready: false }, [memoryNode('a', { state: 'disabled' })])).toEqual([
    'no node of pool default is enabled | breakwater node enable a',
  ]);
});

test('a certificate that has expired, or will soon', () => {
  const certificate = { listener: 'mqtts://[::]:8883', subject: 'CN=a' };
  const [expired, soon] = look({
    certificates: [
      { ...certificate, notAfter: at(-1) },
      { ...certificate, notAfter: at(13) },
    ],
  });
  expect(expired).toContain(`the certificate of mqtts://[::]:8883 (CN=a) has expired at ${at(-1)} |`);
  expect(soon).toContain(`expires in 13 days, at ${at(13)} |`);
  expect(soon).toContain('breakwater reload');
  const [hour] = look({ certificates: [{ ...certificate, notAfter: at(0.05) }] });
  expect(hour).toContain('expires in an hour');
});

test('a revocation list that has expired, is used all the same, or is due', () => {
  const crl = { listener: 'mqtts://[::]:8883', issuer: 'CN=ca' };
  const found = look({
    crls: [
      { ...crl, nextUpdate: at(-1), state: 'expired' },
      { ...crl, nextUpdate: at(-1), state: 'tolerated' },
      { ...crl, nextUpdate: at(0.5), state: 'valid' },
    ],
  });
  expect(found[0]).toContain('no device with a certificate is let in');
  expect(found[1]).toContain('it is used as it is');
  expect(found[2]).toContain('expires in 12 hours');
});

test('a store that is away, descriptors that are too few, a thread that is stuck', () => {
  const found = look({
    store: { kind: 'redis', up: false, cause: 'connect ECONNREFUSED', since: at(0) },
    descriptorShortage: { limit: 1024, needed: 201_500, maxConnections: 440 },
    silentThreads: [1],
    ready: false,
  });
  expect(found).toHaveLength(3);
  expect(found[0]).toContain('data thread 1 does not answer');
  expect(look({ failingThreads: [2], ready: false })).toEqual([
    expect.stringContaining('data thread 2 dies again and again'),
  ]);
  expect(found[1]).toContain(`the membership store (redis) is away since ${at(0)} (connect ECONNREFUSED):`);
  expect(found[2]).toContain('LimitNOFILE=201500');
});

test('a log that is not taken', () => {
  expect(look({ logLoss: { lines: 289, reason: 'ENOSPC' } })).toEqual([
    expect.stringMatching(/the log is not taken \(ENOSPC\): 289 lines are lost.* \| df shows/),
  ]);
});

test('a proxy that has vanished, with its devices', () => {
  expect(look({ lostProxies: [{ id: 'edge-2', since: at(0), connections: 300 }] })).toEqual([
    expect.stringContaining(`proxy edge-2 has vanished: no heartbeat since ${at(0)}, 300 devices were there`),
  ]);
});

test('a pool that is uneven beyond chance; weights count', () => {
  const nodes = (a: number, b: number) => [
    memoryNode('a', { connections: a }),
    memoryNode('b', { connections: b, weight: 20 }),
  ];
  expect(look({}, nodes(100, 200))).toEqual([]);
  expect(look({}, nodes(200, 100))).toEqual([
    'pool default is uneven: its fullest and its emptiest node differ by 150% of the fair share | breakwater rebalance --pool default',
  ]);
  expect(look({}, nodes(10, 0))).toEqual([]);
});

test('a proxy that is starting or stopping', () => {
  expect(look({ ready: false })).toEqual([
    'the proxy accepts no devices: it is starting or stopping | breakwater status',
  ]);
});
