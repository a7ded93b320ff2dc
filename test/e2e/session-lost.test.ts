import { once } from 'node:events';
import type { Socket } from 'node:net';
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { expect, test } from 'vitest';
import type { NodeView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, openSocket } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

// Sessions that are older than their connections are lost with their node, because the brokers share nothing: nobody knows
// what their devices had subscribed to. Each device has to find that out.

type Version = 4 | 5;

/** A device with a persistent session and a Will. */
class PersistentDevice {
  readonly clientId: string;
  readonly messages: string[] = [];
  sessionPresent: boolean | undefined;
  isSubscribed = false;
  /** Of the node's or the proxy's DISCONNECT. */
  endCode: number | undefined;
  isClosed = false;
  private readonly version: Version;
  private readonly socket: Socket;

  constructor(port: number, clientId: string, version: Version) {
    this.clientId = clientId;
    this.version = version;
    this.socket = openSocket(port);
    const parse = parser({ protocolVersion: version });
    parse.on('packet', (packet: Packet) => this.take(packet));
    this.socket.on('data', (bytes) => parse.parse(bytes));
    this.socket.once('close', () => {
      this.isClosed = true;
    });
    const will = { topic: `will/${clientId}`, payload: Buffer.from('.'), qos: 0, retain: false } as const;
    const properties = version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {};
    this.send({
      ...{
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: version,
        clientId,
        clean: false,
        keepalive: 60,
      },
      ...{ will, ...properties },
    });
  }

  private send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: this.version }));
  }

  private take(packet: Packet): void {
    if (packet.cmd === 'connack') this.sessionPresent = (packet as IConnackPacket).sessionPresent;
    if (packet.cmd === 'suback') this.isSubscribed = true;
    if (packet.cmd === 'publish') this.messages.push(String((packet as IPublishPacket).payload));
    if (packet.cmd === 'disconnect') this.endCode = packet.reasonCode;
  }

  subscribe(): void {
    this.send({
      ...{ cmd: 'subscribe', messageId: 1 },
      subscriptions: [{ topic: `to/${this.clientId}`, qos: 0 }],
    });
  }

  leave(): void {
    this.send({ cmd: 'disconnect' });
    this.socket.end();
  }
}

const ids = clientIds(20, 'older');

/** All of them, with a session or without as it is said. */
async function connectAll(port: number, version: Version, hasSession: boolean): Promise<PersistentDevice[]> {
  const devices = ids.map((id) => new PersistentDevice(port, id, version));
  const answered = () => devices.every(({ sessionPresent }) => sessionPresent !== undefined);
  await until(answered, 'every CONNACK');
  expect(devices.map(({ sessionPresent }) => sessionPresent)).toEqual(ids.map(() => hasSession));
  return devices;
}

async function subscribeAll(devices: readonly PersistentDevice[]): Promise<void> {
  for (const device of devices) device.subscribe();
  await until(() => devices.every(({ isSubscribed }) => isSubscribed), 'every SUBACK');
}

/** Publishes at the broker itself, to each device; and hears the Wills there. */
async function watcher({ port }: Mosquitto): Promise<{ tellAll(text: string): void; wills: string[] }> {
  const { socket } = await connectDevice(port, 'watcher');
  const wills: string[] = [];
  const parse = parser();
  parse.on('packet', (packet: Packet) => {
    if (packet.cmd === 'publish') wills.push(packet.topic);
  });
  socket.on('data', (bytes) => parse.parse(bytes));
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'will/#', qos: 0 }] }));
  await once(socket, 'data');
  const tell = (id: string, text: string) =>
    socket.write(
      generate({ cmd: 'publish', topic: `to/${id}`, payload: text, qos: 0, dup: false, retain: false }),
    );
  return {
    wills,
    tellAll: (text) => {
      for (const id of ids) tell(id, text);
    },
  };
}

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
    ...{ proxy: { engine }, pools: { default: { nodes, health: { interval: 2, healthyThreshold: 2 } } } },
  });
  const { port } = breakwater;

  const before = await connectAll(port, version, false);
  await subscribeAll(before);
  for (const device of before) device.leave();
  await until(() => before.every(({ isClosed }) => isClosed), 'the end of the earlier connections');
  const devices = await connectAll(port, version, true);
  expect(first.clients()).toEqual(expect.arrayContaining(ids));
  await survivor.restart();
  await until(() => isHealthy(breakwater, 'node-1'), 'the other node');
  const { tellAll, wills } = await watcher(survivor);

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
  await subscribeAll(back);
  tellAll('hello');
  await until(() => back.every(({ messages }) => messages.includes('hello')), 'each message');
  expect(back.map(({ messages, isClosed }) => [messages, isClosed])).toEqual(
    ids.map(() => [['hello'], false]),
  );
  expect(wills).toEqual([]);
});
