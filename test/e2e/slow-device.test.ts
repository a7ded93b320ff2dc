import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connectAsync } from 'mqtt';
import { generate, parser } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { linuxEngines } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { type RawNode, startRawNode } from '../support/raw-node.ts';
import { until } from '../support/wait.ts';

const MESSAGES = 200;
const PAYLOAD_BYTES = 100_000; // 20 MB in all

const CHUNK = generate({
  cmd: 'publish',
  topic: 't',
  payload: 'x'.repeat(1000),
  qos: 0,
  dup: false,
  retain: false,
});
/** `limits.highWater` by default, and the most that one read brings. */
const READ_BYTES = 65_536;

interface Queues {
  /** Bytes that were written and that the other end's kernel has not got. */
  readonly unsent: number;
  /** Bytes that came and were not read. */
  readonly unread: number;
}

/** The kernel's queues of each end of a TCP connection of the loopback, by its two ports (proc(5), `net/tcp`). */
function queues(): Map<string, Queues> {
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return new Map(
    rows.map((row) => {
      const [, local = '', remote = '', , waiting = ''] = row.trim().split(/\s+/);
      const port = (address: string) => Number.parseInt(address.split(':')[1] ?? '', 16);
      const [unsent = 0, unread = 0] = waiting.split(':').map((hex) => Number.parseInt(hex, 16));
      return [`${port(local)} ${port(remote)}`, { unsent, unread }] as const;
    }),
  );
}

/** Bytes in both queues from one end to the other. */
function underWay(from: string, to: string): number {
  const all = queues();
  return (all.get(from)?.unsent ?? 0) + (all.get(to)?.unread ?? 0);
}

/** Sends messages for as long as they are taken; how many bytes the kernel has taken so far. */
function flood(link: Socket): () => number {
  let taken = link.bytesWritten;
  const send = () => {
    link.write(CHUNK, (error) => {
      if (error) return;
      taken += CHUNK.length;
      send();
    });
  };
  send();
  return () => taken;
}

/**
 * Reads: up to `limits.highWater`, the one that goes beyond it, and with streams of Node one that waits in the stream. A ring
 * receives some 65 small buffers before it hears that it is to stop.
 */
const engines = [...linuxEngines.map((engine) => [engine, 2] as const), ['node', 3] as const];

describe.each(engines)('%s engine: a device that stops reading', (engine, reads) => {
  let broker: Mosquitto;
  let node: RawNode;
  let proxy: Breakwater;
  beforeAll(async () => {
    [broker, node] = await Promise.all([
      startMosquitto({ config: 'log_type subscribe' }),
      startRawNode(() => undefined),
    ]);
    const url = 'mqtt://127.0.0.1:0';
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url, pool: 'broker' },
        { url, pool: 'raw', mode: 'session' },
        { url, pool: 'raw', mode: 'relay' },
      ],
      pools: { broker: { nodes: [{ url: broker.url }] }, raw: { nodes: [{ url: node.url }] } },
    });
  });

  test('loses nothing', async () => {
    const { socket } = await connectDevice(proxy.port, 'slow');
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'flood', qos: 0 }] }));
    await until(() => broker.output().includes(' flood'), 'the subscription');
    socket.pause();

    const publisher = await connectAsync(proxy.url, { protocolVersion: 4 });
    for (let n = 0; n < MESSAGES; n++) {
      const payload = Buffer.alloc(PAYLOAD_BYTES, n & 255);
      payload.writeUInt32BE(n);
      await publisher.publishAsync('flood', payload, { qos: 1 });
    }
    await publisher.endAsync();

    const received: number[] = [];
    const packets = parser({ protocolVersion: 4 });
    packets.on('packet', (packet) => {
      if (packet.cmd !== 'publish') return;
      const payload = packet.payload as Buffer;
      const n = payload.readUInt32BE();
      const whole = payload.subarray(4).equals(Buffer.alloc(PAYLOAD_BYTES - 4, n & 255));
      received.push(whole ? n : -1);
    });
    socket.on('data', (chunk: Buffer) => packets.parse(chunk)).resume();
    await until(() => received.length >= MESSAGES, 'all messages');
    expect(received).toEqual(Array.from({ length: MESSAGES }, (_, n) => n));
  });

  test.skipIf(process.platform !== 'linux').each([
    ['session', 1],
    ['relay', 2],
  ] as const)(`costs ${reads} times 64 KiB at most (%s)`, async (mode, listener) => {
    const { socket: device } = await connectDevice(proxy.ports[listener] as number, `slow-${mode}`);
    device.pause();
    const link = node.link(`slow-${mode}`) as Socket;
    const taken = flood(link);
    const [nodeEnd, proxyUp] = [
      `${link.localPort} ${link.remotePort}`,
      `${link.remotePort} ${link.localPort}`,
    ];
    const [proxyDown, deviceEnd] = [
      `${device.remotePort} ${device.localPort}`,
      `${device.localPort} ${device.remotePort}`,
    ];
    let before = -1;
    let same = 0;
    await until(() => {
      same = taken() === before ? same + 1 : 0;
      before = taken();
      return same === 10;
    }, 'the node to be held up');
    const held = taken() - underWay(nodeEnd, proxyUp) - underWay(proxyDown, deviceEnd) - device.bytesRead;
    expect(taken()).toBeGreaterThan(4 * READ_BYTES); // the kernel's queues are full
    expect(held).toBeGreaterThanOrEqual(-CHUNK.length); // of a part of one chunk it is not known that it was taken
    expect(held).toBeLessThanOrEqual(reads * READ_BYTES + 2 * CHUNK.length); // and parts of messages
  });
});
