import { beforeAll, expect, test } from 'vitest';
import type { MovesView } from '../../src/admin/backend.ts';
import { clientIds, connectDevices } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { type Installed, startInstalled } from '../support/upgrade.ts';
import { until } from '../support/wait.ts';

/** What moves sessions and devices because a person wants it goes on in the process after this one. */

const DEVICES = 60;
let proxy: Installed;

beforeAll(async () => {
  const brokers = await Promise.all([startMosquitto(), startMosquitto()]);
  const nodes = brokers.map(({ url }, i) => ({ id: `n${i}`, url }));
  proxy = await startInstalled({ proxy: { id: 'edge-1', threads: 2 }, pools: { default: { nodes } } });
  await connectDevices(proxy.port, clientIds(DEVICES));
});

/** Upgrades while so much has moved and so much is left; what the new process tells then. */
async function upgradedIn(path: string): Promise<{ readonly before: MovesView; readonly after: MovesView }> {
  const before = await until(async () => {
    const view = await proxy.api<MovesView>(path);
    return view.moved > 0 && view;
  }, 'something to have moved');
  const { left } = await proxy.upgrade();
  expect(left).toBe(0);
  return { before, after: await proxy.api<MovesView>(path) };
}

test.runIf(process.platform === 'linux')(
  'the drain of a node and that of the proxy go on at their rates and with their counts, behind an upgrade each',
  async () => {
    await proxy.api('nodes/n0/drain', { method: 'POST', body: { rate: 3 } });
    const node = await upgradedIn('nodes/n0/drain');
    expect(node.after).toMatchObject({ state: 'moving', rate: 3 });
    expect(node.after.moved).toBeGreaterThanOrEqual(node.before.moved);
    expect(node.after.moved + node.after.left).toBe(DEVICES / 2);
    await until(async () => {
      const { moved } = await proxy.api<MovesView>('nodes/n0/drain');
      return moved > node.after.moved;
    }, 'the new process to move some');

    await proxy.api('proxies/edge-1/drain', { method: 'POST', body: { rate: 2, delay: 0 } });
    const own = await upgradedIn('proxies/edge-1/drain');
    expect(own.after).toMatchObject({ state: 'moving', rate: 2 });
    expect(own.after.moved + own.after.left).toBe(DEVICES);
    await until(async () => {
      const { moved } = await proxy.api<MovesView>('proxies/edge-1/drain');
      return moved > own.after.moved;
    }, 'devices to leave the new process');
    expect((await fetch(`${proxy.adminUrl}/readyz`)).status).toBe(503);
  },
);
