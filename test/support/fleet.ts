import { connect, type Socket } from 'node:net';
import { generate, type Packet, parser } from 'mqtt-packet';
import { connectBytes } from './devices.ts';
import { atEnd } from './process.ts';

/** Devices that stay: each connects again, to the next address, whenever it is refused or loses its connection. */
export interface Fleet {
  readonly size: number;
  /** Devices with a CONNACK that accepts. */
  connected(): number;
  /** Connections lost so far. */
  losses(): number;
  /** Tells the text, as many devices as there are addresses, over the topic that all follow. */
  publish(text: string): void;
  /** Devices that have heard the text. */
  heard(text: string): number;
  stop(): void;
}

const TOPIC = 'fleet';
const RETRY_MS = 200;
/**
 * A device that is not answered for so long tries elsewhere. Real ones wait 20 s or more: a broker that has no time for 5 s
 * takes the CONNECT that was given up all the same, after that of the next attempt, which it then ends as taken over.
 */
const PATIENCE_MS = 15_000;

interface FleetDevice {
  socket: Socket | undefined;
  isConnected: boolean;
  readonly heard: Set<string>;
}

/** @param ports of the proxies, read anew at every attempt */
export function startFleet(size: number, ports: () => readonly number[]): Fleet {
  let losses = 0;
  let running = true;
  const devices = Array.from(
    { length: size },
    (): FleetDevice => ({ socket: undefined, isConnected: false, heard: new Set() }),
  );

  function dial(device: FleetDevice, index: number, attempt: number): void {
    if (!running) return;
    const choice = ports();
    const port = choice[(index + attempt) % choice.length] as number;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const impatience = setTimeout(() => socket.destroy(), PATIENCE_MS);
    device.socket = socket;
    const packets = parser();
    packets.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connack' && packet.returnCode === 0) {
        clearTimeout(impatience);
        device.isConnected = true;
        const subscriptions = [{ topic: TOPIC, qos: 0 as const }];
        socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
      }
      if (packet.cmd === 'publish') device.heard.add(String(packet.payload));
    });
    socket.on('data', (bytes) => packets.parse(bytes));
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(impatience);
      if (device.isConnected) losses++;
      device.isConnected = false;
      setTimeout(dial, RETRY_MS, device, index, attempt + 1);
    });
    socket.write(connectBytes(`fleet-${index}`, { keepAlive: 0 }));
  }

  function stop(): void {
    running = false;
    for (const { socket } of devices) socket?.destroy();
  }

  for (const [index, device] of devices.entries()) dial(device, index, 0);
  atEnd(stop);
  const isConnected = (device: FleetDevice): boolean => device.isConnected;
  return {
    size,
    connected: () => devices.filter(isConnected).length,
    losses: () => losses,
    publish(text) {
      const news = {
        cmd: 'publish',
        topic: TOPIC,
        payload: text,
        qos: 0,
        dup: false,
        retain: false,
      } as const;
      for (const { socket } of devices.filter(isConnected).slice(0, ports().length)) {
        socket?.write(generate(news));
      }
    },
    heard: (text) => devices.filter((device) => device.heard.has(text)).length,
    stop,
  };
}
