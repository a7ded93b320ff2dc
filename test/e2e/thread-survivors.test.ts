import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { connectAsync } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { PROBATION_MS } from '../../src/data-plane/probation.ts';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import {
  clientIds,
  connectBytes,
  connectDevice,
  connectDevices,
  type Device,
  openSocket,
} from '../support/devices.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';
import { startTraffic } from '../support/traffic.ts';
import { until } from '../support/wait.ts';

/** Devices that are not ours, by every kind of listener, while a fault ends the thread that carries them. */

const GO_ON = 'devices of the dead data thread go on';
const logged = ({ logs }: Breakwater, msg: string) => logs().filter((line) => line.msg === msg);

/** A proxy whose threads die when there is a file. */
async function startDying(config: object) {
  const DIE_AT = join(temporaryDirectory(), 'die');
  const NODE_OPTIONS = `--import=${resolve('test/support/dying-thread.mjs')}`;
  const proxy = await startBreakwater(config, [], { NODE_OPTIONS, DIE_AT });
  /** The file is there with all that it says, or a thread could read it before that. */
  const die = (how: 'reject' | 'loop'): void => {
    writeFileSync(`${DIE_AT}-next`, how);
    renameSync(`${DIE_AT}-next`, DIE_AT);
  };
  return { proxy, die };
}

/** What is counted of devices: at a time, so that no thread may have counted one twice, or none. */
async function counts({ api, adminUrl }: Breakwater): Promise<readonly unknown[]> {
  const { connections } = await api<{ connections: number }>('status');
  const { total } = await api<{ total: number }>('clients');
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
  const live = [...metrics.matchAll(/^breakwater_connections{.*} (\d+)$/gm)];
  return [connections, total, live.reduce((sum, [, count]) => sum + Number(count), 0)];
}

/** A node that answers when the test does it, on the links that have been sent something. */
async function startNode() {
  const links: { readonly socket: Socket; said: string; hasEnded: boolean }[] = [];
  const server = createServer((socket) => {
    const link = { socket, said: '', hasEnded: false };
    socket
      .on('error', () => {})
      .on('end', () => {
        link.hasEnded = true;
      });
    socket.on('data', (bytes) => {
      if (link.said === '') links.push(link);
      link.said += bytes.toString('hex');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  atEnd(() => server.close());
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, links };
}

describe.runIf(process.platform === 'linux')('devices of a data thread that dies', () => {
  test.each(
    linuxEngines,
  )('notice nothing on %s, three times in a row: none is disconnected, nothing is lost or comes twice', async (engine) => {
    const own = createAuthority('devices').issue({ cn: 'edge.test', names: 'IP:127.0.0.1' });
    const broker = await startMosquitto();
    const tls = { cert: own.certFile, key: own.keyFile };
    const listeners = [
      ...[{ url: 'mqtt://127.0.0.1:0', mode: 'relay' }, { url: 'mqtt://127.0.0.1:0' }],
      { url: 'mqtts://127.0.0.1:0', tls, mode: 'relay' },
      { url: 'mqtts://127.0.0.1:0', tls: { ...tls, minVersion: 'TLSv1.2' } },
      ...[{ url: 'ws://127.0.0.1:0' }, { url: 'wss://127.0.0.1:0', tls }],
      { url: 'tcp://127.0.0.1:0', pool: 'opaque' },
    ];
    const { proxy, die } = await startDying({
      ...{ proxy: { threads: 1, engine }, listeners, limits: { shutdownGrace: 0 } },
      pools: {
        default: { nodes: [{ id: 'n0', url: broker.url }] },
        opaque: { nodes: [{ id: 'n1', url: broker.url.replace('mqtt', 'tcp') }] },
      },
    });
    const urls = listeners.map(({ url }, i) => {
      const path = /^wss?:/.test(url) ? '/mqtt' : '';
      return `${url.replace('tcp:', 'mqtt:').replace(':0', `:${proxy.ports[i]}`)}${path}`;
    });
    const traffic = await startTraffic(urls, 2, { pauseMs: 20, keepalive: 5 });
    /** Ten messages of each device, and for so long. */
    const goesOn = async (ms = 0): Promise<void> => {
      const wanted = traffic.sent() + 10 * traffic.clients.length;
      const endMs = performance.now() + ms;
      await until(() => traffic.sent() >= wanted && performance.now() > endMs, 'the traffic to go on');
    };
    await goesOn();
    for (const [i, how] of (['reject', 'loop', 'loop'] as const).entries()) {
      die(how);
      await until(() => logged(proxy, GO_ON).length === i + 1, 'the devices to go on');
      await goesOn(PROBATION_MS); // or the next death would take them along
    }
    await traffic.stop();
    expect(traffic.ends).toEqual([]);
    expect(traffic.twice()).toEqual([]);
    expect(traffic.lost()).toEqual([]);
    expect(logged(proxy, GO_ON)).toMatchObject(Array(3).fill({ devices: 14, ended: 0 }));
    expect(await counts(proxy)).toEqual([14, 12, 14]); // who speaks no MQTT has no client id
    for (const client of traffic.clients) client.removeAllListeners('close').end(true);
    await until(async () => `${await counts(proxy)}` === '0,0,0', 'all to be given back');
  });

  test.each(
    linuxEngines,
  )('are asked for anew on %s where their node has not answered, and it hears a goodbye first', async (engine) => {
    const node = await startNode();
    const listeners = [{ url: 'mqtt://127.0.0.1:0', mode: 'relay' }, { url: 'mqtt://127.0.0.1:0' }];
    const { proxy, die } = await startDying({
      ...{ proxy: { threads: 1, engine }, listeners, limits: { shutdownGrace: 0 } },
      pools: { default: { nodes: [{ id: 'n0', url: node.url }] } },
    });
    const devices = proxy.ports.map((port, i) => {
      const device = { socket: openSocket(port), connect: connectBytes(`device-${i}`), heard: '' };
      device.socket.on('data', (bytes) => {
        device.heard += bytes.toString('hex');
      });
      device.socket.write(device.connect);
      return device;
    });
    const [first, second] = devices.map(({ connect }) => connect.toString('hex')).sort();
    const asked = () => node.links.map(({ said }) => said).sort();
    await until(() => `${asked()}` === `${[first, second]}`, 'both to be asked for');
    die('loop');
    const goodbye = 'e000';
    const all = [first, `${first}${goodbye}`, second, `${second}${goodbye}`].sort();
    await until(() => `${asked()}` === `${all}`, 'both to be asked for anew');
    expect(logged(proxy, GO_ON)).toMatchObject([{ devices: 2, ended: 0 }]);
    await until(
      () => node.links.filter(({ hasEnded }) => hasEnded).length === 2,
      'the links before to be left',
    );
    for (const { socket, hasEnded } of node.links) if (!hasEnded) socket.write(Buffer.of(0x20, 2, 0, 0));
    await until(() => devices.every(({ heard }) => heard === '20020000'), 'both to be accepted');
    expect(await counts(proxy)).toEqual([2, 2, 2]);
    for (const { socket } of devices) socket.destroy();
    await until(async () => `${await counts(proxy)}` === '0,0,0', 'all to be given back');
  });

  test('are moved all the same where their node had died just before', async () => {
    const broker = await startMosquitto();
    const { proxy, die } = await startDying({
      ...{ proxy: { threads: 1 }, limits: { shutdownGrace: 0 }, log: { level: 'debug', format: 'json' } },
      pools: { default: { upstream: { reattachDeadline: 60 }, nodes: [{ id: 'n0', url: broker.url }] } },
    });
    const device = await connectAsync(proxy.url, { clientId: 'd', reconnectPeriod: 0 });
    const [got, ends]: string[][] = [[], []];
    device.on('message', (_, payload) => got?.push(`${payload}`)).on('close', () => ends?.push('closed'));
    await device.subscribeAsync('t', { qos: 1 });
    broker.kill('SIGKILL');
    await until(() => logged(proxy, 'dial failed').length > 0, 'its session to be asked for elsewhere');
    const published = device.publishAsync('t', 'x', { qos: 1 });
    die('loop');
    await until(() => logged(proxy, GO_ON).length > 0, 'it to go on');
    expect(logged(proxy, GO_ON)).toMatchObject([{ devices: 1, ended: 0 }]);
    await broker.restart();
    await published;
    await until(() => got?.includes('x'), 'its message to come back');
    expect(ends).toEqual([]);
    device.removeAllListeners('close').end(true);
  });

  test('are disconnected where it died of them, and no other is; nobody who connects is refused', async () => {
    const [node] = await startAedes(1);
    const { proxy } = await startDying({
      proxy: { threads: 1, engine: 'epoll' }, // the fault is put into send(2), which uring does not call
      listeners: [{ url: 'mqtt://127.0.0.1:0', mode: 'relay' }],
      pools: { default: { nodes: [{ url: node?.url }] } },
    });
    const devices = await connectDevices(proxy.port, clientIds(20));
    const [culprit] = devices;
    const ends: string[] = [];
    for (const { socket } of devices.slice(1)) socket.resume().once('close', () => ends.push('closed'));
    const gone = once((culprit as Device).socket.resume(), 'close');
    culprit?.socket.write(Buffer.from('\x30\x09\x00\x01tpoison'));
    for (let i = 0; logged(proxy, GO_ON).length === 0; i++) await connectDevice(proxy.port, `comes-${i}`);
    await gone;
    expect(logged(proxy, GO_ON)).toMatchObject([{ ended: 0 }]);
    expect(ends).toEqual([]);
    for (const { socket } of devices.slice(1)) socket.write(Buffer.of(0xc0, 0));
  });
});
