import { expect, test } from 'vitest';
import { ProxyDepartures } from '../../../src/migration/proxy-departures.ts';
import { createShutdown } from '../../../src/proxy/shutdown.ts';
import { fakeTime } from '../../support/fake-time.ts';

/** A proxy that ends with a hundred devices, each of which comes back as soon as it has left, as long as it is accepted. */

const GRACE_MS = 10_000;
const DEVICES = 100;

async function endWith({ takenOverAtMs = Number.POSITIVE_INFINITY } = {}) {
  const time = fakeTime();
  const { clock } = time;
  /** As the data threads note them: those who came behind the beginning of a departure are not among its members. */
  let [members, others, noted] = [0, DEVICES, 0];
  let accepts = true;
  /** When each left. */
  const departures: number[] = [];
  /** When nobody was accepted any more. */
  let closedAtMs: number | undefined;
  const leave = (count: number): void => {
    for (let i = 0; i < count; i++) departures.push(clock.now());
    if (accepts) others += count;
  };
  const control = new ProxyDepartures({
    async dismiss(departure, count) {
      if (departure > noted) {
        noted = departure;
        members += others;
        others = 0;
      }
      const ended = Math.min(count, members);
      members -= ended;
      leave(ended);
      return { ended, left: members };
    },
    ...{ devices: () => members + others, phase: { isDraining: false }, isHeld: () => false },
    ...{ onState() {}, onProgress() {}, clock, timers: time.timers },
  });
  const shutdown = createShutdown({
    ...{ clock, graceMs: () => GRACE_MS, devices: () => members + others, formers: () => 0 },
    sleep: (ms) => new Promise((resolve) => time.timers.setTimeout(() => resolve(undefined), ms)),
    log: { info() {} } as never,
    ...{ begin() {}, close: async () => {} },
    isTakenOver: () => clock.now() >= takenOverAtMs,
    stopAccepting() {
      accepts = false;
      closedAtMs ??= clock.now();
    },
    dismiss: (part) => control.end(part),
    closedLate: () => control.anew(),
  });
  void shutdown.stop();
  await new Promise((resolve) => setImmediate(resolve)); // it waits for the first time
  await time.pass(GRACE_MS + 1_000);
  await shutdown.closed;
  return { departures, closedAtMs };
}

/** How many left in each of the spans of so many ms. */
function perSpan(departures: readonly number[], fromMs: number, spanMs: number): number[] {
  const counts = Array.from({ length: Math.ceil((GRACE_MS - fromMs) / spanMs) }, () => 0);
  for (const at of departures) {
    const span = Math.min(counts.length - 1, Math.floor((at - fromMs) / spanMs));
    if (span >= 0) counts[span] = (counts[span] ?? 0) + 1;
  }
  return counts;
}

test('devices that come back to a proxy which nobody replaces leave in turn too, before the grace is over', async () => {
  const { departures, closedAtMs = 0 } = await endWith();
  expect(closedAtMs).toBeGreaterThanOrEqual(0.75 * GRACE_MS);
  expect(closedAtMs).toBeLessThanOrEqual(0.77 * GRACE_MS);
  const before = departures.filter((at) => at <= closedAtMs);
  expect(departures.length - before.length).toBe(DEVICES); // all who were let go are back
  for (const count of perSpan(before, 0, 1_000).slice(0, 7)) expect(count).toBeCloseTo(DEVICES / 10, -1);
  const counts = perSpan(departures, closedAtMs + 1, (GRACE_MS - closedAtMs) / 5);
  for (const count of counts) expect(count).toBeLessThanOrEqual((2 * DEVICES) / 5);
  expect(Math.max(...counts)).toBeLessThanOrEqual(2 * Math.min(...counts));
});

test('from the moment on in which another proxy takes devices all leave in turn', async () => {
  const { departures, closedAtMs = 0 } = await endWith({ takenOverAtMs: GRACE_MS / 2 });
  expect(closedAtMs).toBeLessThanOrEqual(0.52 * GRACE_MS);
  const counts = perSpan(departures, closedAtMs + 1, (GRACE_MS - closedAtMs) / 5);
  expect(counts.reduce((sum, count) => sum + count)).toBe(DEVICES);
  expect(Math.max(...counts)).toBeLessThanOrEqual(2 * Math.min(...counts));
});
