import { expect, test } from 'vitest';
import { perform } from '../../bench/failover/performance.ts';
import { main } from '../support/cli.ts';

test.concurrent.each([
  'aedes',
  'mosquitto',
] as const)('a broker (%s) hangs and goes on: its devices were moved, no Will fires, nothing of QoS 1 or 2 comes late, nor of QoS 2 twice', async (brokers) => {
  const report = await perform({
    ...{ main, brokers, fault: 'hang', front: 'breakwater', engine: 'auto' },
    ...{ devices: 100, rate: 150, clean: false, hangMs: 7_000, calmMs: 1_500 },
  });
  expect(report).toMatchObject({ disconnects: 0, unacknowledged: 0, unansweredPings: 0 });
  expect(report.outOfOrder).toMatchObject({ qos1: 0, qos2: 0 });
  expect(report.outOfOrder.qos0).toBeLessThanOrEqual(1); // the one that it had in its hands when it was stopped
  // A broker that shares nothing takes what it has answered with PUBREC with it (session-mode.md), and nothing else.
  const qos2 = brokers === 'mosquitto' ? report.lostHalfway : 0;
  expect(report).toMatchObject({ wills: [], violations: [], lost: { qos1: 0, qos2 } });
  expect(report.duplicates.qos2).toBe(0);
  expect(report.moves).toMatchObject({ moved: report.affected, failed: 0, mostOfOneDevice: 1 });
  expect(report.moves?.causes).toEqual({ 'node-silent': report.affected });
});
