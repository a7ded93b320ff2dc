import { expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import type { Mosquitto } from '../support/mosquitto.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { patience, until } from '../support/wait.ts';

interface Crowd {
  /** Connects that were served, and what happened to those that were not. */
  readonly served: () => number;
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** So many devices that connect, stay for a moment, leave, and connect again. */
function startCrowd(port: number, size: number): Crowd {
  let served = 0;
  let running = true;
  const failures: string[] = [];
  const live = async (index: number) => {
    for (let round = 0; running; round++) {
      try {
        const { code, socket } = await connectDevice(port, `crowd-${index}-${round}`);
        if (code === 0) served += 1;
        else failures.push(`CONNACK ${code}`);
        await new Promise((resolve) => setTimeout(resolve, 100 + (index % 10) * 20));
        socket.resetAndDestroy();
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  const lives = Array.from({ length: size }, (_, index) => live(index));
  return {
    served: () => served,
    failures,
    async stop() {
      running = false;
      await Promise.all(lives);
    },
  };
}

async function cluster(pool: object): Promise<{ brokers: Mosquitto[]; breakwater: Breakwater }> {
  const brokers = await Promise.all([startMosquitto(), startMosquitto(), startMosquitto()]);
  const nodes = brokers.map(({ url }, index) => ({ id: `node-${index + 1}`, url }));
  return { brokers, breakwater: await startBreakwater({ pools: { default: { nodes, ...pool } } }) };
}

async function healthOf(breakwater: Breakwater, id: string): Promise<string> {
  return (await breakwater.api<NodeView>(`nodes/${id}`)).health;
}

test('a killed node is isolated within a second, every connect is served, and it comes back', async () => {
  const { brokers, breakwater } = await cluster({ health: { interval: 2, healthyThreshold: 2 } });
  const [victim] = brokers as [Mosquitto];
  const crowd = startCrowd(breakwater.port, 200);
  await until(() => crowd.served() > 400, 'a lively crowd');

  const killedAt = Date.now();
  victim.kill('SIGKILL');
  // By probes alone it would take two intervals at least: three failures in a row.
  await until(async () => (await healthOf(breakwater, 'node-1')) === 'unhealthy', 'isolation', 3_000);
  const flipAt = () =>
    breakwater.logs().find((line) => line.node === 'node-1' && line.msg === 'node unhealthy')?.time;
  await until(() => flipAt() !== undefined, 'the log line');
  expect(Date.parse(String(flipAt())) - killedAt).toBeLessThan(patience(1_000));

  const before = crowd.served();
  await until(() => crowd.served() > before + 400, 'service by the other two');
  await victim.restart();
  await until(async () => (await healthOf(breakwater, 'node-1')) === 'healthy', 'its return', 15_000);
  await until(() => victim.clients().length > 0, 'devices at the node that returned');
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
});

test('a node that hangs is isolated, and connects are still served', async () => {
  const pool = { health: { interval: 2, probe: 'mqtt' }, upstream: { connackTimeout: 0.5 } };
  const { brokers, breakwater } = await cluster(pool);
  const [victim] = brokers as [Mosquitto];
  const crowd = startCrowd(breakwater.port, 50);
  await until(() => crowd.served() > 100, 'a lively crowd');
  victim.kill('SIGSTOP'); // its kernel still accepts, nobody answers
  await until(async () => (await healthOf(breakwater, 'node-1')) === 'unhealthy', 'isolation');
  const before = crowd.served();
  await until(() => crowd.served() > before + 200, 'service by the other two');
  victim.kill('SIGCONT');
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
});
