import { beforeAll, describe, expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import {
  answered,
  connectAll,
  leaveAll,
  PersistentDevice,
  type Version,
  watcher,
} from '../support/persistent-devices.ts';
import { until } from '../support/wait.ts';

// Sessions that are older than their connections, and not remembered, are lost with their node, because the brokers share
// nothing: nobody knows what their devices had subscribed to. Each device has to find that out.

async function isHealthy(breakwater: Breakwater, id: string): Promise<boolean> {
  return (await breakwater.api<NodeView>(`nodes/${id}`)).health === 'healthy';
}

describe.each(['auto', 'node'])('engine %s', (engine) => {
  let tries = 0;
  /** One that dies, and one that starts then; of each version. */
  let brokers: Record<Version, readonly [Mosquitto, Mosquitto]>;
  let breakwater: Breakwater;
  beforeAll(async () => {
    const pair = () => Promise.all([startMosquitto(), startMosquitto()]);
    brokers = { 4: await pair(), 5: await pair() };
    const pool = (version: Version) => ({
      nodes: brokers[version].map(({ url }, index) => ({ id: `node-${version}-${index}`, url })),
      health: { interval: 2, healthyThreshold: 2 },
    });
    breakwater = await startBreakwater({
      ...{ proxy: { engine }, limits: { sessionMemoryTime: 0 } },
      listeners: ['four', 'five'].map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool })),
      pools: { four: pool(4), five: pool(5) },
    });
  });

  test.concurrent.each([
    4, 5,
  ] as const)('MQTT %i: each device is disconnected, comes back to no session, subscribes and hears', async (version) => {
    const [first, survivor] = brokers[version];
    const port = breakwater.ports[version - 4] as number;
    // A try before has left devices and sessions, and the brokers as they were when it failed.
    await Promise.all([first.restart(), survivor.stop()]);
    const ids = clientIds(20, `older-${version}-${tries++}`);
    const before = await connectAll(port, version, ids, false);
    await answered(before, (device) => device.subscribe(`to/${device.clientId}`));
    await leaveAll(before);
    const devices = await connectAll(port, version, ids, true);
    expect(first.clients()).toEqual(expect.arrayContaining(ids));
    await survivor.restart();
    await until(() => isHealthy(breakwater, `node-${version}-1`), 'the other node');
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
    expect(new Set(devices.map(({ endCode }) => endCode))).toEqual(
      new Set([version === 5 ? 0x8b : undefined]),
    );
    await answered(back, (device) => device.subscribe(`to/${device.clientId}`));
    for (const id of ids) tell(`to/${id}`, 'hello');
    await until(() => back.every(({ messages }) => messages.includes('hello')), 'each message');
    expect(back.map(({ messages, isClosed }) => [messages, isClosed])).toEqual(
      ids.map(() => [['hello'], false]),
    );
    expect(wills).toEqual([]);
  });
});
