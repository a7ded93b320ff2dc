import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { generate } from 'mqtt-packet';
import { atEnd } from './process.ts';
import { patience } from './wait.ts';

export interface DeviceOptions {
  /** Where it connects from: any address of 127.0.0.0/8. */
  readonly localAddress?: string;
  /** 127.0.0.1 when absent. */
  readonly host?: string;
  readonly keepAlive?: number;
  readonly protocolVersion?: 4 | 5;
}

/** A device made of a bare socket: quick to make by the thousand. */
export interface Device {
  readonly clientId: string;
  readonly socket: Socket;
  /** Return code (3.1.1) or reason code (5.0) of CONNACK. */
  readonly code: number;
}

const open = new Set<Socket>();

/** Of all devices that are connected, and whatever else `openSocket` has opened. */
export function endSockets(): void {
  for (const socket of open) socket.destroy();
}

/** Bytes of a CONNECT with a clean session. */
export function connectBytes(
  clientId: string,
  { keepAlive = 60, protocolVersion = 4 }: DeviceOptions = {},
): Buffer {
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion,
    clientId,
    clean: true,
    keepalive: keepAlive,
  });
}

/** A TCP connection that is closed when the test file ends; its errors are ignored. */
export function openSocket(
  port: number,
  localAddress: string | undefined = '127.0.0.1',
  host = '127.0.0.1',
): Socket {
  const local = host === '127.0.0.1' ? { localAddress } : {};
  const socket = connect({ port, host, noDelay: true, ...local });
  socket.on('error', () => {});
  atEnd(endSockets);
  open.add(socket);
  socket.once('close', () => open.delete(socket));
  return socket;
}

/** Connects and waits for CONNACK, at most 15 seconds on a quiet machine. */
export function connectDevice(port: number, clientId: string, options: DeviceOptions = {}): Promise<Device> {
  const socket = openSocket(port, options.localAddress, options.host);
  socket.write(connectBytes(clientId, options));
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(`device ${clientId}: ${what}`));
    };
    const waitMs = patience(15_000);
    const timer = setTimeout(() => fail(`no CONNACK within ${waitMs} ms`), waitMs);
    let error = '';
    socket.once('error', ({ message }) => {
      error = message;
    });
    const closed = () => fail(`closed before CONNACK ${error}`);
    socket.once('close', closed);
    let answer = Buffer.alloc(0);
    const read = (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4) return;
      socket.off('data', read).off('close', closed);
      clearTimeout(timer);
      resolve({ clientId, socket, code: answer[3] ?? 255 });
    };
    socket.on('data', read);
  });
}

/** Connects one device for each client id, at most 50 at a time, in order of the ids. */
export async function connectDevices(
  port: number,
  clientIds: readonly string[],
  options: (index: number) => DeviceOptions = () => ({}),
): Promise<Device[]> {
  const devices: Device[] = [];
  let next = 0;
  const worker = async () => {
    while (next < clientIds.length) {
      const index = next++;
      devices[index] = await connectDevice(port, clientIds[index] as string, options(index));
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  return devices;
}

/** `device-0`, `device-1`, … */
export function clientIds(count: number, prefix = 'device'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Which of the brokers each client id is at, by the brokers' own account. */
export function placement(brokers: readonly { clients(): string[] }[]): Map<string, number> {
  return new Map(brokers.flatMap((broker, index) => broker.clients().map((id) => [id, index] as const)));
}

export function endDevices(devices: readonly Device[]): void {
  for (const { socket } of devices) socket.resetAndDestroy();
}
