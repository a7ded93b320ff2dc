import { expect, test } from 'vitest';
import { type Play, perform } from '../../bench/failover/performance.ts';
import { main } from '../support/cli.ts';

/** Real brokers behind `breakwater start`, devices with steady traffic, and one broker that is killed. */
const play: Omit<Play, 'brokers'> = {
  ...{ main, fault: 'kill', front: 'breakwater', engine: 'auto' },
  ...{ devices: 150, rate: 300, clean: false, hangMs: 0, calmMs: 1_500 },
};

/** No device notices anything that its standard would let it complain about. */
const undisturbed = {
  ...{ disconnects: 0, unacknowledged: 0, unansweredPings: 0, violations: [] },
  outOfOrder: { qos0: 0, qos1: 0, qos2: 0 },
};

test.concurrent('a broker is killed whose sessions are shared: no device disconnects, nothing acknowledged is lost', async () => {
  const report = await perform({ ...play, brokers: 'aedes' });
  expect(report).toMatchObject({ ...undisturbed, lost: { qos1: 0, qos2: 0 }, wills: [], examples: [] });
  expect(report.duplicates.qos2).toBe(0);
  expect(report.affected).toBeGreaterThan(30);
  expect(report.moves).toMatchObject({ moved: report.affected, failed: 0, mostOfOneDevice: 1 });
  expect(report.received).toBeGreaterThan(report.acknowledged);
});

test.concurrent('a broker is killed that shares nothing: no device disconnects, and what comes later is received', async () => {
  const report = await perform({ ...play, brokers: 'mosquitto' });
  expect(report).toMatchObject({ ...undisturbed, wills: [] });
  expect(report.duplicates.qos2).toBe(0);
  expect(report.moves).toMatchObject({ moved: report.affected, failed: 0, mostOfOneDevice: 1 });
  // What the dead broker had acknowledged and not delivered is gone; each device has at most a few of that.
  expect(report.lost.qos1 + report.lost.qos2).toBeLessThan(report.affected);
  expect(report.lostLater).toEqual({ qos1: 0, qos2: 0 });
});
