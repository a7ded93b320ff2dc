import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { clientIds, connectBytes, connectDevice, connectDevices, type Device } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { startHttpNode } from '../support/http.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

/** A proxy whose listeners close at the end, with a device. */
async function runningWithDevice() {
  const [broker] = await startAedes(1);
  const nodes = [{ url: broker?.url }];
  const breakwater = await startBreakwater({
    ...{ pools: { default: { nodes } }, limits: { shutdownListeners: 'close' } },
  });
  const device = await connectDevice(breakwater.port, 'last');
  const refusesMore = () =>
    connectDevice(breakwater.port, 'late').then(
      ({ socket }) => {
        socket.destroy();
        return false;
      },
      () => true,
    );
  return { breakwater, device, refusesMore };
}

const line = ({ logs }: Breakwater, msg: string) => logs().find((each) => each.msg === msg);

test('SIGTERM stops accepting, waits for the last device, and exits 0', async () => {
  const { breakwater, device, refusesMore } = await runningWithDevice();
  breakwater.kill('SIGTERM');
  await until(refusesMore, 'the listener to close');
  device.socket.write(Buffer.from([0xc0, 0])); // PINGREQ
  expect([...(await once(device.socket, 'data'))[0]]).toEqual([0xd0, 0]);
  device.socket.end();
  expect(await breakwater.exited).toBe(0);
  expect(line(breakwater, 'stopped')).toMatchObject({ devices: 0 });
});

test('a second signal exits at once, although a device is still there', async () => {
  const { breakwater, device, refusesMore } = await runningWithDevice();
  breakwater.kill('SIGTERM');
  await until(refusesMore, 'the listener to close');
  breakwater.kill('SIGTERM');
  const [, code] = await Promise.all([once(device.socket, 'close'), breakwater.exited]);
  expect(code).toBe(1);
  expect(line(breakwater, 'stopping')).toBeDefined();
  expect(line(breakwater, 'stopped')).toBeUndefined(); // its grace was not over
});

describe('SIGTERM with forty devices, while nobody else takes them', () => {
  const NEIGHBOUR = 'edge-2.example.com:1883';
  const GRACE = 4;
  let breakwater: Breakwater;
  let code: number | string;
  /** Of `/readyz` in the grace. */
  let readiness: number;
  /** Client ids, in the order in which they were closed. */
  const gone: string[] = [];
  /** What the one that speaks MQTT 5 was told. */
  let said = Buffer.alloc(0);

  beforeAll(async () => {
    const broker = await startMosquitto();
    breakwater = await startBreakwater({
      listeners: [{ url: 'mqtt://127.0.0.1:0', neighbours: [NEIGHBOUR] }],
      pools: { default: { nodes: [{ url: broker.url }] } },
      limits: { shutdownGrace: GRACE },
    });
    const readyz = async () => (await fetch(`${breakwater.adminUrl}/readyz`)).status;
    const follow = ({ socket, clientId }: Device) => socket.resume().once('close', () => gone.push(clientId));
    for (const device of await connectDevices(breakwater.port, clientIds(39))) follow(device);
    const five = await connectDevice(breakwater.port, 'five', { protocolVersion: 5 });
    follow(five).on('data', (bytes: Buffer) => {
      said = Buffer.concat([said, bytes]);
    });
    await until(async () => (await readyz()) === 200, 'the proxy to be ready');
    breakwater.kill('SIGTERM');
    await until(() => line(breakwater, 'stopping'), 'the grace to begin');
    readiness = await readyz();
    // Who comes before the first is let go may be counted among those that were there.
    await until(() => gone.length > 0, 'the first to leave');
    follow(await connectDevice(breakwater.port, 'late'));
    code = await breakwater.exited;
    await until(() => gone.length === 41, 'all to be gone');
  });

  test('the listeners stay open until the grace is nearly over, and who comes stays until then', () => {
    expect(readiness).toBe(503);
    expect(line(breakwater, 'stopping')).toMatchObject({ accepts: true, devices: 40, grace: GRACE });
    const logs = breakwater.logs();
    const closed = logs.findIndex(({ msg }) => msg === 'the listeners close');
    const ended = logs.findIndex(({ msg, clientId }) => msg === 'device ended' && clientId === 'late');
    expect(closed).toBeGreaterThan(0);
    expect(ended).toBeGreaterThan(closed);
  });

  test('they are let go one after the other, and nearly all before the grace is over', () => {
    expect(line(breakwater, 'stopped')?.devices).toBeLessThanOrEqual(11);
    // Not all in one moment: two that left together may be of one tick, forty are not.
    const ends = breakwater.logs().filter(({ msg }) => msg === 'device ended');
    expect(new Set(ends.map(({ time }) => time)).size).toBeGreaterThanOrEqual(5);
  });

  test('the process exits 0', () => {
    expect(code).toBe(0);
  });

  test('MQTT 5 devices are told where to go instead, one of the neighbours', () => {
    const properties = [0x1c, 0, NEIGHBOUR.length, ...Buffer.from(NEIGHBOUR)];
    const disconnect = [0xe0, properties.length + 2, 0x9c, properties.length, ...properties];
    expect([...said]).toEqual(disconnect);
  });
});

describe('with clients that came by TLS and stay', () => {
  let tls: { cert: string; key: string };
  let pools: Record<string, object>;
  beforeAll(async () => {
    const certificate = createAuthority('root').issue({ cn: 'proxy', names: 'IP:127.0.0.1' });
    tls = { cert: certificate.certFile, key: certificate.keyFile };
    const [broker] = await startAedes(1);
    const web = await startHttpNode((_, response) => response.write('begun'));
    pools = { default: { nodes: [{ url: broker?.url }] }, web: { nodes: [{ url: web.url }] } };
  });

  const secure = async (scheme: 'mqtts' | 'https', mode = 'session') => ({
    url: `${scheme}://127.0.0.1:${await freePort()}`,
    ...{ tls, mode, pool: scheme === 'https' ? 'web' : 'default' },
  });

  function open(url: string): TLSSocket {
    const port = Number(new URL(url).port);
    return connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {});
  }

  /** A client that has been answered, and waits for more. */
  async function begin({ url }: { url: string }): Promise<TLSSocket> {
    const socket = open(url).resume();
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    socket.write(url.startsWith('https') ? request : connectBytes(`meter-${new URL(url).port}`));
    await once(socket, 'data');
    return socket;
  }

  test.each([
    fastestEngine,
    'node',
  ] as const)('SIGTERM ends the process, also where listeners have been removed before (%s)', async (engine) => {
    const removed = [await secure('mqtts'), await secure('https')];
    const sessions = await secure('mqtts');
    const kept = [sessions, await secure('mqtts', 'relay'), await secure('https')];
    const config = { proxy: { engine }, pools, limits: { shutdownGrace: 0 } };
    const proxy = await startBreakwater({ ...config, listeners: [...kept, ...removed] });
    await Promise.all(kept.map(begin));
    const silent = open(sessions.url);
    await once(silent, 'secureConnect');
    silent.pause(); // it does not answer the end either
    const left = await Promise.all(removed.map(begin));
    const gone = left.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    proxy.rewrite({ ...config, listeners: kept });
    await proxy.api('reload', { method: 'POST' });
    await Promise.all(gone);

    let code: number | string | undefined;
    void proxy.exited.then((ended) => {
      code = ended;
    });
    proxy.kill('SIGTERM');
    await until(() => code !== undefined, 'the process to end', 8_000);
    expect(code).toBe(0);
    expect(proxy.logs().filter(({ msg }) => msg.startsWith('data thread died'))).toEqual([]);
  });
});
