import { expect, test } from 'vitest';
import type { NodeDetail } from '../../src/admin/backend.ts';
import { agree, nodeOf, startJoining, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice, endDevices } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const FEW = 10;
const SLOW_START_S = 4;

test('a node that joins, misses heartbeats, is forgotten and returns is welcomed little by little', async () => {
  const [redis, { url }] = await Promise.all([startRedis(), startMosquitto()]);
  const nodes = [{ id: 'b1', url }];
  const pools = {
    default: { strategy: 'round-robin', slowStart: SLOW_START_S, health: { interval: 2 }, nodes },
  };
  const proxy = await startProxy(redis, 'p1', { proxy: { id: 'p1', threads: 1 }, pools });
  await agree([proxy], ['b1']);
  let rounds = 0;
  /** Of a few devices that come now, the share that b2 gets. */
  const share = async () => {
    const prefix = `round-${rounds++}-`;
    const devices = [];
    for (const id of clientIds(FEW, prefix)) devices.push(await connectDevice(proxy.port, id));
    expect(devices.map(({ code }) => code)).toEqual(devices.map(() => 0));
    const listed = await proxy.api<{ clients: { node: string }[] }>(`clients?match=${prefix}`);
    endDevices(devices);
    return listed.clients.filter(({ node }) => node === 'b2').length / FEW;
  };
  /** @param sinceMs before it came back: on a slow machine its share has grown when it is measured */
  const beginsSmall = async (sinceMs: number) => {
    await until(async () => (await nodeOf(proxy, 'b2')).health !== 'unhealthy', 'b2 to be back');
    const got = await share();
    const weight = Math.min(1, (performance.now() - sinceMs) / (SLOW_START_S * 1_000));
    expect(got).toBeLessThanOrEqual(weight / (1 + weight) + 1 / FEW);
  };
  const grows = async (sinceMs: number) => {
    await beginsSmall(sinceMs);
    await until(async () => (await share()) === 0.5, 'b2 to have its full share');
  };
  const isLate = async () => {
    const { health, healthCause } = await proxy.api<NodeDetail>('nodes/b2');
    return health === 'unhealthy' && healthCause === 'heartbeats missed';
  };

  const listen = ['--listen', `mqtt://127.0.0.1:${await freePort()}`];
  let sinceMs = performance.now();
  const b2 = startJoining(redis, 'b2', ...listen, '--forget-after', '600');
  await agree([proxy], ['b1', 'b2']);
  await grows(sinceMs);

  b2.kill('SIGSTOP');
  await until(isLate, 'b2 to be late');
  expect(await share()).toBe(0);
  sinceMs = performance.now();
  b2.kill('SIGCONT');
  await beginsSmall(sinceMs);

  b2.kill('SIGKILL');
  await until(isLate, 'b2 to be late again');
  sinceMs = performance.now();
  const restarted = startJoining(redis, 'b2', ...listen); // forgotten after a second
  await beginsSmall(sinceMs);

  restarted.kill('SIGKILL');
  await agree([proxy], ['b1']);
  sinceMs = performance.now();
  startJoining(redis, 'b2', ...listen);
  await agree([proxy], ['b1', 'b2']);
  await grows(sinceMs);
});
