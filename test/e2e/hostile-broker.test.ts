import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectDevice, connectDevices, type DeviceOptions } from '../support/devices.ts';
import { atEnd } from '../support/process.ts';
import { type RawNode, startRawNode } from '../support/raw-node.ts';
import { until } from '../support/wait.ts';

/** A broker that means ill: it has its own devices, and nobody else's. */

interface EvilNode {
  readonly url: string;
  readonly port: number;
  /** Links that came so far. */
  readonly links: readonly Socket[];
  /** What each link is answered, whatever it says. */
  answer: Buffer;
}

const ACCEPTED = Buffer.of(0x20, 2, 0, 0);
const ACCEPTED_5 = Buffer.of(0x20, 3, 0, 0, 0);
const PUBLISH = 3;

async function startEvilNode(): Promise<EvilNode> {
  const links: Socket[] = [];
  const node = { links, answer: ACCEPTED, url: '', port: 0 };
  const server = createServer((socket) => {
    links.push(socket);
    socket.on('error', () => undefined).once('data', () => socket.write(node.answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    server.close();
    for (const link of links) link.destroy();
  });
  node.port = (server.address() as AddressInfo).port;
  node.url = `mqtt://127.0.0.1:${node.port}`;
  return node;
}

const publish = (topic: string, payload: string) =>
  generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false });

/** What no broker says to a device that it has accepted. */
const evils: readonly (readonly [string, Buffer])[] = [
  ['a length of five bytes', Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x7f)],
  ['the reserved type 0', Buffer.of(0, 0)],
  ['another CONNACK', ACCEPTED],
  [
    'a CONNECT',
    generate({
      cmd: 'connect',
      clientId: 'bystander',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      keepalive: 1,
    }),
  ],
  ['a SUBSCRIBE', Buffer.of(0x82, 6, 0, 1, 0, 1, 0x23, 0)],
  ['an AUTH, which 3.1.1 has not', Buffer.of(0xf0, 0)],
  ['a topic that is longer than its packet', Buffer.of(0x30, 4, 0xff, 0xff, 1, 1)],
  ['a PUBLISH of QoS 3', Buffer.concat([Buffer.of(0x36), publish('a', 'x').subarray(1)])],
  ['the beginning of 256 MiB', Buffer.concat([Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f), randomBytes(70_000)])],
  ['a SUBACK that nobody asked for, without codes', Buffer.of(0x90, 2, 0, 1)],
  ['random bytes', randomBytes(5000)],
];

describe.each([
  ['epoll', 'session'],
  ['epoll', 'relay'],
  ['node', 'session'],
  ['node', 'relay'],
])('a hostile broker, %s engine, %s mode', (engine, mode) => {
  let evil: EvilNode;
  let calm: RawNode;
  let breakwater: Breakwater;
  let bystander: Socket;
  let echoed = 0;

  beforeAll(async () => {
    evil = await startEvilNode();
    calm = await startRawNode(({ type, bytes }) => (type === PUBLISH ? Buffer.from(bytes) : undefined));
    breakwater = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [{ url: 'mqtt://127.0.0.1:0', mode }],
      pools: {
        default: { nodes: [{ url: evil.url }, { url: calm.url }] },
        evil: { nodes: [{ id: 'evil', url: evil.url }] },
        calm: { nodes: [{ id: 'calm', url: calm.url }] },
      },
      rules: [
        { when: { clientId: '^evil' }, pool: 'evil' },
        { when: { clientId: '^bystander$' }, pool: 'calm' },
      ],
    });
    bystander = (await connectDevice(breakwater.port, 'bystander', { keepAlive: 0 })).socket;
    bystander.on('data', (chunk: Buffer) => {
      echoed += chunk.length;
    });
  });

  /** What the bystander says comes back, and nothing else. */
  async function isUnhurt(): Promise<void> {
    echoed = 0;
    const message = publish('echo', 'still there');
    bystander.write(message);
    await until(() => echoed >= message.length, 'the bystander to be served');
    expect([echoed, bystander.destroyed]).toEqual([message.length, false]);
    expect(breakwater.logs().filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  }

  test.each(evils)('that says %s has its own device only', async (_, said) => {
    evil.answer = Buffer.concat([ACCEPTED, said]);
    const { socket } = await connectDevice(breakwater.port, 'evil-device');
    socket.resume();
    await isUnhurt();
    socket.destroy();
  });

  test.each([
    ['reserved flags in CONNACK [MQTT-3.2.2-1]', Buffer.of(0x20, 2, 2, 0)],
    ['another packet before CONNACK [MQTT-3.2.0-1]', publish('a', 'x')],
  ])('that says %s is passed over for another', async (_, said) => {
    evil.answer = said;
    const before = evil.links.length;
    const ids = Array.from({ length: 8 }, (__, i) => `choosy-${i}`);
    const devices = await connectDevices(breakwater.port, ids);
    expect(devices.map(({ code }) => code)).toEqual(ids.map(() => 0));
    expect(evil.links.length).toBeGreaterThan(before);
    for (const { socket } of devices) socket.destroy();
    await isUnhurt();
  });

  test('cannot send a device to a place that is no node', async () => {
    const trap = await startEvilNode();
    const reference = Buffer.from(`127.0.0.1:${trap.port}`);
    const body = [0x9d, 3 + reference.length, 0x1c, 0, reference.length, ...reference];
    evil.answer = Buffer.concat([ACCEPTED_5, Buffer.of(0xe0, body.length, ...body)]);
    const options: DeviceOptions = { protocolVersion: 5 };
    const { socket } = await connectDevice(breakwater.port, 'evil-5', options);
    socket.resume();
    await isUnhurt();
    expect(trap.links).toHaveLength(0);
    socket.destroy();
  });
});
