import { expect, test } from 'vitest';
import type { NodeDetail } from '../../src/admin/backend.ts';
import { agree, nodeOf, startJoining, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice, endDevices } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const FEW = 10;

test('a node that joins, misses heartbeats, is forgotten and returns is welcomed little by little', async () => {
  const [redis, { url }] = await Promise.all([startRedis(), startMosquitto()]);
  const nodes = [{ id: 'b1', url }];
  const pools = { default: { strategy: 'round-robin', slowStart: 4, health: { interval: 2 }, nodes } };
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
  const beginsSmall = async () => {
    await until(async () => (await nodeOf(proxy, 'b2')).health !== 'unhealthy', 'b2 to be back');
    expect(await share()).toBeLessThan(0.4);
  };
  const grows = async () => {
    await beginsSmall();
    await until(async () => (await share()) === 0.5, 'b2 to have its full share');
  };
  const isLate = async () => {
    const { health, healthCause } = await proxy.api<NodeDetail>('nodes/b2');
    return health === 'unhealthy' && healthCause === 'heartbeats missed';
  };

  const listen = ['--listen', `mqtt://127.0.0.1:${await freePort()}`];
  const b2 = startJoining(redis, 'b2', ...listen, '--forget-after', '600');
  await agree([proxy], ['b1', 'b2']);
  await grows();

  b2.kill('SIGSTOP');
  await until(isLate, 'b2 to be late');
  expect(await share()).toBe(0);
  b2.kill('SIGCONT');
  await beginsSmall();

  b2.kill('SIGKILL');
  await until(isLate, 'b2 to be late again');
  const restarted = startJoining(redis, 'b2', ...listen); // forgotten after a second
  await beginsSmall();

  restarted.kill('SIGKILL');
  await agree([proxy], ['b1']);
  startJoining(redis, 'b2', ...listen);
  await agree([proxy], ['b1', 'b2']);
  await grows();
});
