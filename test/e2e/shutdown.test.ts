import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { clientIds, connectBytes, connectDevice, connectDevices } from '../support/devices.ts';
import { startHttpNode } from '../support/http.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { freePort } from '../support/process.ts';
import { until } from '../support/wait.ts';

async function runningWithDevice(limits: object = { shutdownListeners: 'close' }) {
  const [broker] = await startAedes(1);
  const breakwater = await startBreakwater({ pools: { default: { nodes: [{ url: broker?.url }] } }, limits });
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

/** How long the proxy waited for its devices, by its own log. */
function graceMs(breakwater: Breakwater): number {
  const at = (msg: string) => Date.parse(String(line(breakwater, msg)?.time));
  return at('stopped') - at('stopping');
}

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

test('while nobody else takes devices the listeners stay open, and who comes stays until the grace is over', async () => {
  const { breakwater, device } = await runningWithDevice({ shutdownGrace: 3 });
  const early = [device, ...(await connectDevices(breakwater.port, clientIds(5)))];
  const readyz = async () => (await fetch(`${breakwater.adminUrl}/readyz`)).status;
  await until(async () => (await readyz()) === 200, 'the proxy to be ready');
  breakwater.kill('SIGTERM');
  await until(() => line(breakwater, 'stopping'), 'the grace to begin');
  expect(await readyz()).toBe(503);
  const late = await connectDevice(breakwater.port, 'late');
  const gone: string[] = [];
  for (const { socket, clientId } of [...early, late])
    socket.resume().once('close', () => gone.push(clientId));
  expect(await breakwater.exited).toBe(0);
  expect(line(breakwater, 'stopping')).toMatchObject({ accepts: true });
  await until(() => gone.length === 7, 'all to be gone');
  expect(gone.indexOf('late')).toBeGreaterThanOrEqual(3); // the others in their turn, the late one at the end
});

test('MQTT 5 devices are told where to go instead, one of the neighbours', async () => {
  const broker = await startMosquitto();
  const breakwater = await startBreakwater({
    listeners: [{ url: 'mqtt://127.0.0.1:0', neighbours: ['edge-2.example.com:1883'] }],
    pools: { default: { nodes: [{ url: broker.url }] } },
    limits: { shutdownGrace: 1 },
  });
  const device = await connectDevice(breakwater.port, 'five', { protocolVersion: 5 });
  const said = once(device.socket, 'data');
  breakwater.kill('SIGTERM');
  const text = 'edge-2.example.com:1883';
  const properties = [0x1c, 0, text.length, ...Buffer.from(text)];
  expect([...(await said)[0]]).toEqual([0xe0, properties.length + 2, 0x9c, properties.length, ...properties]);
});

test('a device that stays is closed when the grace is over', async () => {
  const { breakwater, device } = await runningWithDevice({ shutdownGrace: 1 });
  breakwater.kill('SIGTERM');
  await until(() => line(breakwater, 'stopping'), 'the grace to begin');
  await once(device.socket, 'close');
  expect(await breakwater.exited).toBe(0);
  expect(line(breakwater, 'stopping')).toMatchObject({ devices: 1, grace: 1 });
  expect(line(breakwater, 'stopped')).toMatchObject({ devices: 1 }); // it had not left by itself
  expect(graceMs(breakwater)).toBeGreaterThanOrEqual(990);
});

test('devices are let go one after the other, and nearly all before the grace is over', async () => {
  const [broker] = await startAedes(1);
  const nodes = { default: { nodes: [{ url: broker?.url }] } };
  const breakwater = await startBreakwater({ pools: nodes, limits: { shutdownGrace: 2 } });
  const devices = await connectDevices(breakwater.port, clientIds(40));
  const gone = devices.map(({ socket }) => once(socket.resume(), 'close'));
  breakwater.kill('SIGTERM');
  await Promise.all(gone);
  expect(await breakwater.exited).toBe(0);
  const last = Number(line(breakwater, 'stopped')?.devices);
  expect(last).toBeLessThanOrEqual(10);
  // Not all in one moment: two that left together may be of one tick, forty are not.
  const ends = breakwater.logs().filter(({ msg }) => msg === 'device ended');
  expect(new Set(ends.map(({ time }) => time)).size).toBeGreaterThanOrEqual(5);
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

describe.each(['epoll', 'node'] as const)('%s engine, with a client that came by TLS and stays', (engine) => {
  let certificate: Issued;
  let nodes: Record<string, object>;
  beforeAll(async () => {
    certificate = createAuthority('root').issue({ cn: 'proxy', names: 'IP:127.0.0.1' });
    const [broker] = await startAedes(1);
    const web = await startHttpNode((_, response) => response.write('begun'));
    nodes = { default: { nodes: [{ url: broker?.url }] }, web: { nodes: [{ url: web.url }] } };
  });

  async function running(scheme: 'mqtts' | 'https', mode = 'session') {
    const tls = { cert: certificate.certFile, key: certificate.keyFile };
    const secure = {
      url: `${scheme}://127.0.0.1:${await freePort()}`,
      ...{ tls, mode, pool: scheme === 'https' ? 'web' : 'default' },
    };
    const plain = { url: 'mqtt://127.0.0.1:0' };
    const config = {
      ...{ proxy: { engine }, listeners: [plain, secure], pools: nodes },
      limits: { shutdownGrace: 0 },
    };
    const proxy = await startBreakwater(config);
    return { proxy, config, plain, port: Number(new URL(secure.url).port) };
  }

  async function begin(port: number, bytes: string | Buffer): Promise<TLSSocket> {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {}).resume();
    socket.write(bytes);
    await once(socket, 'data');
    return socket;
  }
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

  async function endsInOrder(proxy: Breakwater): Promise<void> {
    let code: number | string | undefined;
    void proxy.exited.then((ended) => {
      code = ended;
    });
    proxy.kill('SIGTERM');
    await until(() => code !== undefined, 'the process to end', 8_000);
    expect(code).toBe(0);
    expect(proxy.logs().filter(({ msg }) => msg.startsWith('data thread died'))).toEqual([]);
  }

  test.each(['session', 'relay'])('MQTT (%s): SIGTERM ends the process', async (mode) => {
    const { proxy, port } = await running('mqtts', mode);
    await begin(port, connectBytes('meter-1'));
    const silent = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {});
    await once(silent, 'secureConnect');
    silent.pause(); // it does not answer the end either
    await endsInOrder(proxy);
  });

  test('HTTP: SIGTERM ends the process', async () => {
    const { proxy, port } = await running('https');
    await begin(port, request);
    await endsInOrder(proxy);
  });

  test.each([
    'mqtts',
    'https',
  ] as const)('%s: so it does when the listener has been removed', async (scheme) => {
    const { proxy, config, plain, port } = await running(scheme);
    const socket = await begin(port, scheme === 'https' ? request : connectBytes('meter-1'));
    const gone = new Promise((resolve) => socket.once('close', resolve));
    proxy.rewrite({ ...config, listeners: [plain] });
    await proxy.api('reload', { method: 'POST' });
    await gone;
    await endsInOrder(proxy);
  });
});
