import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import type { DeviceOptions } from '../support/devices.ts';
import { clientIds, connectDevices, endDevices, placement } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

const DEVICES = 300;
const weights = [10, 20, 30];
const strategies = ['round-robin', 'least-connections', 'source-hash', 'client-id-hash'] as const;

const startBrokers = (count: number): Promise<Mosquitto[]> =>
  Promise.all(Array.from({ length: count }, () => startMosquitto()));

/** One listener and pool for each strategy, all over the same brokers. */
function poolsFor(brokers: readonly Mosquitto[]) {
  const nodes = (strategy: string) =>
    brokers.map(({ url }, i) => ({ id: `${strategy}-${i + 1}`, url, weight: weights[i] ?? 10 }));
  return {
    listeners: strategies.map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool })),
    pools: Object.fromEntries(strategies.map((strategy) => [strategy, { strategy, nodes: nodes(strategy) }])),
  };
}

/** Every device has an address of its own, so that `source-hash` has something to hash. */
const ownAddress = (index: number): DeviceOptions => ({
  localAddress: `127.1.${index >> 8}.${index & 255 || 1}`,
});

async function place(
  port: number,
  ids: readonly string[],
  brokers: readonly Mosquitto[],
): Promise<Map<string, number>> {
  const devices = await connectDevices(port, ids, ownAddress);
  const placed = await until(() => {
    const now = placement(brokers);
    return now.size === ids.length && now;
  }, 'every device to be at a broker');
  endDevices(devices);
  await until(() => placement(brokers).size === 0, 'every device to be gone');
  return placed;
}

test(`${DEVICES} devices over three brokers of weight 10, 20, 30 are shared by weight under each strategy`, async () => {
  const brokers = await startBrokers(3);
  const breakwater = await startBreakwater(poolsFor(brokers));
  for (const [index, strategy] of strategies.entries()) {
    const port = breakwater.ports[index] ?? 0;
    const placed = await place(port, clientIds(DEVICES, strategy), brokers);
    for (const [node, weight] of weights.entries()) {
      const share = weight / 60;
      const count = [...placed.values()].filter((at) => at === node).length;
      // Counting strategies are even to a few devices (several dial at one time); hashes scatter binomially.
      const bound = strategy.endsWith('-hash') ? 4.5 * Math.sqrt(DEVICES * share * (1 - share)) : 5;
      const off = Math.abs(count - DEVICES * share);
      expect(off, `${strategy}: ${count} at node ${node}`).toBeLessThanOrEqual(bound);
    }
  }
});

test('under client-id-hash removing one of four nodes moves only its share, and its return brings them back', async () => {
  const brokers = await startBrokers(4);
  const nodes = brokers.map(({ url }, i) => ({ id: `node-${i + 1}`, url }));
  const breakwater = await startBreakwater({
    pools: { default: { strategy: 'client-id-hash', slowStart: 0, nodes } },
  });
  const ids = clientIds(200);
  const before = await place(breakwater.port, ids, brokers);
  expect(await place(breakwater.port, ids, brokers), 'the same nodes again').toEqual(before);

  await breakwater.api('nodes/node-2', { method: 'DELETE' });
  const without = await place(breakwater.port, ids, brokers);
  const moved = ids.filter((id) => before.get(id) !== without.get(id));
  expect(moved).toEqual(ids.filter((id) => before.get(id) === 1));
  expect(new Set(moved.map((id) => without.get(id)))).toEqual(new Set([0, 2, 3]));

  await breakwater.api('nodes', { method: 'POST', body: nodes[1] as object });
  expect(await place(breakwater.port, ids, brokers), 'as before').toEqual(before);
});
