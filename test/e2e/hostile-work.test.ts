import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Bystander, startBystander } from '../support/bystander.ts';
import { connectDevice } from '../support/devices.ts';
import { type RawNode, type RawPacket, startRawNode } from '../support/raw-node.ts';
import { until } from '../support/wait.ts';

/**
 * What one device, or one node, sends to give the proxy work, while a bystander on the same thread speaks with another
 * node all the time. What a row costs, and what holds the bystander up, is counted as time of a core, which a busy machine
 * does not change much: without limits each of them took many seconds, and the bystander waited for as long.
 */
const MOST_CPU_MS = 1500;
/** What the thread may do during one round trip of the bystander. */
const MOST_TRIP_MS = 50;
/** A machine that keeps the bystander itself waiting adds to that, now and then; what the thread does is there each time. */
const TIMES = 3;

const [PUBLISH, PUBACK, PUBREL, SUBSCRIBE, PINGREQ] = [3, 4, 6, 8, 12];

/** Packets one behind another. */
const packets = (n: number, packet: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: n }, (_, i) => packet(i)));
const ack = (type: number, id: number) =>
  Buffer.of((type << 4) | (type === PUBREL ? 2 : 0), 2, id >> 8, id & 255);
const publish = (id: number, payload = 'x') =>
  generate({ cmd: 'publish', topic: 'a', payload, qos: 1, messageId: id, dup: false, retain: false });
const again = (id: number) =>
  generate({ cmd: 'publish', topic: 'a', payload: 'x', qos: 1, messageId: id, dup: true, retain: false });
const subscribe = (filters: readonly string[]) =>
  generate({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: filters.map((topic) => ({ topic, qos: 0 as const })),
  });
const numbered = (n: number) => Array.from({ length: n }, (_, i) => `f/${i}`);

/** Grants what is asked for, and answers nothing else. */
function grant({ type, bytes, bodyAt }: RawPacket): Buffer | undefined {
  if (type !== SUBSCRIBE) return undefined;
  let filters = 0;
  for (let at = bodyAt + 2; at < bytes.length; at += 2 + bytes.readUInt16BE(at) + 1) filters++;
  const id = bytes.subarray(bodyAt, bodyAt + 2);
  const codes = Buffer.alloc(filters);
  return Buffer.concat([Buffer.of(0x90, ...varint(2 + filters)), id, codes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}

/** Time that the process has had a core for, in milliseconds. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10; // ticks of user and system time
}

describe.each(['epoll', 'node'])('work at the %s engine', (engine) => {
  /** What the session does with it is the same on both. */
  const once = test.runIf(engine === 'epoll');
  let hostile: RawNode;
  let bystander: Bystander;
  let breakwater: Breakwater;
  let device: Socket;

  beforeAll(async () => {
    hostile = await startRawNode(grant);
    bystander = await startBystander();
    breakwater = await startBreakwater({
      proxy: { engine, threads: 1 },
      pools: {
        default: { nodes: [{ url: hostile.url }] },
        calm: { nodes: [{ url: bystander.url }] },
      },
      rules: [{ when: { clientId: '^bystander$' }, pool: 'calm' }],
    });
    await bystander.speak(breakwater);
  });

  /** A device of its own for each row, which reads what it gets. */
  async function connect(): Promise<void> {
    device?.destroy();
    const { socket } = await connectDevice(breakwater.port, 'hostile');
    device = socket;
    device.resume();
  }

  /** Has the bystander speak during what is done, and counts what it costs. */
  async function costs(prepare: () => Promise<() => Promise<unknown>>): Promise<void> {
    let leastMs = Number.POSITIVE_INFINITY;
    for (let time = 0; time < TIMES && leastMs >= MOST_TRIP_MS; time++) {
      const run = await prepare();
      const before = cpuMs(breakwater.pid);
      const longestMs = await bystander.during(run);
      expect(cpuMs(breakwater.pid) - before).toBeLessThan(MOST_CPU_MS);
      leastMs = Math.min(leastMs, longestMs);
    }
    expect(leastMs).toBeLessThan(MOST_TRIP_MS);
  }

  /** Waits until the hostile node has got so many more packets of a type. */
  async function gets(type: number, more: number, act: () => void): Promise<void> {
    const wanted = (hostile.counts[type] as number) + more;
    act();
    await until(() => (hostile.counts[type] as number) >= wanted, `packets of type ${type} at the node`);
  }

  /** Waits until the device has got so many bytes. */
  async function hears(bytes: number, act: () => void): Promise<void> {
    let got = 0;
    const count = (chunk: Buffer): void => {
      got += chunk.length;
    };
    device.on('data', count);
    act();
    await until(() => got >= bytes, `${bytes} bytes at the device`);
    device.off('data', count);
  }

  once.each([2000, 20_000])('of a SUBSCRIBE with %i filters', async (n) => {
    const bytes = subscribe(numbered(n));
    await costs(async () => {
      await connect();
      return () => hears(n, () => device.write(bytes));
    });
  });

  once('of one known filter, many times, beside a large list', async () => {
    const bytes = subscribe(Array<string>(2000).fill('f/7'));
    await costs(async () => {
      await connect();
      await hears(1500, () => device.write(subscribe(numbered(1500))));
      return () => hears(2000, () => device.write(bytes));
    });
  });

  once('of PUBRELs of unknown ids', async () => {
    const bytes = packets(65_000, (i) => ack(PUBREL as number, i + 1));
    await costs(async () => {
      await connect();
      return () => gets(PUBREL as number, 30_000, () => device.write(bytes));
    });
  });

  once('of publishes with DUP to a node that does not acknowledge', async () => {
    const bytes = packets(16_000, (i) => again(i + 1));
    await costs(async () => {
      await connect();
      return () => gets(PUBLISH as number, 16_000, () => device.write(bytes));
    });
  });

  once('of acknowledgements of nothing, while 60,000 deliveries are open', async () => {
    const deliveries = packets(60_000, (i) => publish(i + 1));
    const bytes = packets(16_000, () => ack(PUBACK as number, 65_000));
    await costs(async () => {
      await connect();
      return async () => {
        await hears(deliveries.length, () => hostile.link('hostile')?.write(deliveries));
        await gets(PUBACK as number, 16_000, () => device.write(bytes));
      };
    });
  });

  /** The node of the device goes, and comes back. */
  async function lose(): Promise<void> {
    const before = hostile.link('hostile');
    hostile.stop();
    await hears(2, () => device.write(Buffer.of((PINGREQ as number) << 4, 0))); // it is known that the node is gone
    await hostile.start();
    await until(() => hostile.link('hostile') !== before, 'the session to come back');
  }

  once('of new messages behind a move, with as many unacknowledged ones of before', async () => {
    const old = packets(2000, (i) => publish(i + 1, 'old'));
    const news = packets(2000, (i) => publish(i + 1, 'new'));
    await costs(async () => {
      await connect();
      await hears(old.length, () => hostile.link('hostile')?.write(old));
      await lose();
      return () => hears(news.length, () => hostile.link('hostile')?.write(news));
    });
  });

  test('of a move with 28,000 messages that no node has acknowledged', async () => {
    const bytes = packets(28_000, (i) => publish(i + 1));
    await costs(async () => {
      await connect();
      await gets(PUBLISH as number, 28_000, () => device.write(bytes));
      return async () => {
        const wanted = (hostile.counts[PUBLISH as number] as number) + 28_000;
        await lose();
        await until(() => (hostile.counts[PUBLISH as number] as number) >= wanted, 'all of them again');
      };
    });
  });

  test('of a PINGREQ flood in a gap', async () => {
    const bytes = packets(100_000, () => Buffer.of((PINGREQ as number) << 4, 0));
    await costs(async () => {
      await connect();
      hostile.stop();
      return async () => {
        await hears(bytes.length, () => device.write(bytes));
        await hostile.start();
      };
    });
  });

  test('of what comes byte by byte', async () => {
    const bytes = publish(1, 'x'.repeat(3000));
    await costs(async () => {
      await connect();
      return () =>
        gets(PUBLISH as number, 1, () => {
          for (const byte of bytes) device.write(Buffer.of(byte));
        });
    });
  });
});
