import { once } from 'node:events';
import type { Socket } from 'node:net';
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { expect } from 'vitest';
import { connectDevice, openSocket } from './devices.ts';
import type { Mosquitto } from './mosquitto.ts';
import { until } from './wait.ts';

export type Version = 4 | 5;

/** A device with a persistent session and a Will. */
export class PersistentDevice {
  readonly clientId: string;
  readonly messages: string[] = [];
  sessionPresent: boolean | undefined;
  /** SUBACKs and UNSUBACKs. */
  answers = 0;
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
    if (packet.cmd === 'suback' || packet.cmd === 'unsuback') this.answers++;
    if (packet.cmd === 'publish') this.messages.push(String((packet as IPublishPacket).payload));
    if (packet.cmd === 'disconnect') this.endCode = packet.reasonCode;
  }

  subscribe(...filters: string[]): void {
    this.send({
      ...{ cmd: 'subscribe', messageId: 1 },
      subscriptions: filters.map((topic) => ({ topic, qos: 0 })),
    });
  }

  unsubscribe(...filters: string[]): void {
    this.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: filters });
  }

  leave(): void {
    this.send({ cmd: 'disconnect' });
    this.socket.end();
  }
}

/** All of them, with a session or without as it is said. */
export async function connectAll(
  port: number,
  version: Version,
  ids: readonly string[],
  hasSession: boolean,
): Promise<PersistentDevice[]> {
  const devices = ids.map((id) => new PersistentDevice(port, id, version));
  const answered = () => devices.every(({ sessionPresent }) => sessionPresent !== undefined);
  await until(answered, 'every CONNACK');
  expect(devices.map(({ sessionPresent }) => sessionPresent)).toEqual(ids.map(() => hasSession));
  return devices;
}

/** Has each say something, and waits for the answer. */
export async function answered(
  devices: readonly PersistentDevice[],
  say: (device: PersistentDevice) => void,
): Promise<void> {
  const before = devices.map(({ answers }) => answers);
  for (const device of devices) say(device);
  await until(() => devices.every(({ answers }, i) => answers > (before[i] ?? 0)), 'every answer');
}

/** They disconnect, and it is seen. */
export async function leaveAll(devices: readonly PersistentDevice[]): Promise<void> {
  for (const device of devices) device.leave();
  await until(() => devices.every(({ isClosed }) => isClosed), 'the end of the earlier connections');
}

/** Publishes at the broker itself; and hears the Wills there. */
export async function watcher({
  port,
}: Mosquitto): Promise<{ tell(topic: string, text: string): void; readonly wills: string[] }> {
  const { socket } = await connectDevice(port, 'watcher');
  const wills: string[] = [];
  const parse = parser();
  parse.on('packet', (packet: Packet) => {
    if (packet.cmd === 'publish') wills.push(packet.topic);
  });
  socket.on('data', (bytes) => parse.parse(bytes));
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'will/#', qos: 0 }] }));
  await once(socket, 'data');
  return {
    wills,
    tell: (topic, payload) =>
      void socket.write(generate({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false })),
  };
}
