import { expect, test } from 'vitest';
import { type Play, perform, type Report } from '../../bench/failover/performance.ts';
import { main } from '../support/cli.ts';

const play: Omit<Play, 'fault' | 'brokers'> = {
  ...{ main, front: 'breakwater', engine: 'auto' },
  ...{ devices: 100, rate: 150, clean: false, hangMs: 0, calmMs: 1_000 },
  pool: { health: { interval: 2 } }, // restarted brokers are found well sooner
};

function expectUndisturbed(report: Report): void {
  expect(report).toMatchObject({ disconnects: 0, unacknowledged: 0, unansweredPings: 0 });
  expect(report.outOfOrder).toEqual({ qos0: 0, qos1: 0, qos2: 0 });
  expect(report).toMatchObject({ wills: [], violations: [], lost: { qos1: 0, qos2: 0 } });
  expect(report.duplicates.qos2).toBe(0);
  expect(report.moves?.failed).toBe(0);
}

test.concurrent('all brokers are drained and restarted in turn: no device disconnects, nothing is lost', async () => {
  const report = await perform({ ...play, brokers: 'aedes', fault: 'rolling' });
  expectUndisturbed(report);
  expect(report.moves?.causes).toEqual({ drain: report.moves?.moved });
  expect(report.moves?.moved).toBeGreaterThanOrEqual(play.devices);
});

test.concurrent('a broker comes back empty and gets its share: no device disconnects', async () => {
  const report = await perform({ ...play, brokers: 'mosquitto', fault: 'rebalance' });
  // Brokers that share nothing lose what the dead one had accepted and not delivered; nothing after that.
  expectUndisturbed({ ...report, lost: report.lostLater });
  expect(report.moves?.causes).toMatchObject({ 'link-lost': report.affected });
  expect(report.moves?.causes.rebalance).toBeGreaterThan(20);
});
