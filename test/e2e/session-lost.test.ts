import { expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds } from '../support/devices.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { answered, connectAll, leaveAll, PersistentDevice, watcher } from '../support/persistent-devices.ts';
import { until } from '../support/wait.ts';

// Sessions that are older than their connections, and not remembered, are lost with their node, because the brokers share
// nothing: nobody knows what their devices had subscribed to. Each device has to find that out.

const ids = clientIds(20, 'older');

async function isHealthy(breakwater: Breakwater, id: string): Promise<boolean> {
  return (await breakwater.api<NodeView>(`nodes/${id}`)).health === 'healthy';
}

test.concurrent.each([
  [4, 'auto'],
  [5, 'auto'],
  [4, 'node'],
  [5, 'node'],
] as const)('MQTT %i (engine %s): each device is disconnected, comes back to no session, subscribes and hears', async (version, engine) => {
  const [first, survivor] = await Promise.all([startMosquitto(), startMosquitto()]);
  await survivor.stop();
  const nodes = [first, survivor].map(({ url }, index) => ({ id: `node-${index}`, url }));
  const breakwater = await startBreakwater({
    ...{ proxy: { engine }, limits: { sessionMemoryTime: 0 } },
    ...{ pools: { default: { nodes, health: { interval: 2, healthyThreshold: 2 } } } },
  });
  const { port } = breakwater;

  const before = await connectAll(port, version, ids, false);
  await answered(before, (device) => device.subscribe(`to/${device.clientId}`));
  await leaveAll(before);
  const devices = await connectAll(port, version, ids, true);
  expect(first.clients()).toEqual(expect.arrayContaining(ids));
  await survivor.restart();
  await until(() => isHealthy(breakwater, 'node-1'), 'the other node');
  const { tell, wills } = await watcher(survivor);

  first.kill('SIGKILL');
  // Each comes back at once, as firmware does that does not wait.
  const back: PersistentDevice[] = [];
  await until(() => {
    for (const device of devices)
      if (device.isClosed && !back.some(({ clientId }) => clientId === device.clientId))
        back.push(new PersistentDevice(port, device.clientId, version));
    return back.length === ids.length && back.every(({ sessionPresent }) => sessionPresent !== undefined);
  }, 'all to come back');
  expect(back.map(({ sessionPresent }) => sessionPresent)).toEqual(ids.map(() => false));
  expect(new Set(devices.map(({ endCode }) => endCode))).toEqual(new Set([version === 5 ? 0x8b : undefined]));
  await answered(back, (device) => device.subscribe(`to/${device.clientId}`));
  for (const id of ids) tell(`to/${id}`, 'hello');
  await until(() => back.every(({ messages }) => messages.includes('hello')), 'each message');
  expect(back.map(({ messages, isClosed }) => [messages, isClosed])).toEqual(
    ids.map(() => [['hello'], false]),
  );
  expect(wills).toEqual([]);
});
