import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { EndCause, Link, Target, Wire, WireEvents } from '../../src/connection/wire.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { NodeEngine } from '../../src/engine/node/engine.ts';
import { until } from '../support/wait.ts';

const HIGH_WATER = 65_536;

/** The engine's own sockets, which the wire hides: how much waits in them is what is to be bounded. */
type Inside = Wire & { readonly device: Socket; readonly links: ReadonlyMap<Link, Socket> };

/** Dials the first target at the device's first bytes and splices when it opens; writes down what it is told. */
class Talk implements WireEvents {
  readonly told: string[] = [];
  readonly inside: Inside;
  private readonly targets: Target[];
  private readonly first: Buffer[] = [];
  onOpened = (link: Link): void => this.splice(link);
  onData = (): void => {};

  constructor(wire: Wire, targets: readonly Target[]) {
    this.inside = wire as Inside;
    this.targets = [...targets];
  }

  dial(): void {
    const target = this.targets.shift();
    if (target !== undefined) this.inside.dial(target);
  }

  splice(link: Link): void {
    for (const bytes of this.first) this.inside.toNode(link, bytes, 0, bytes.length);
    this.inside.splice(link);
  }

  deviceData(bytes: Uint8Array, start: number, end: number): void {
    this.first.push(Buffer.from(bytes.slice(start, end)));
    this.onData();
    if (this.told.length === 0) this.dial();
  }
  deviceEnded(cause: EndCause): void {
    this.told.push(`device ${cause}`);
    this.inside.setTimer(5_000);
  }
  linkOpened(link: Link): void {
    this.told.push(`opened ${link}`);
    this.onOpened(link);
  }
  linkFailed(link: Link, reason: string): void {
    this.told.push(`failed ${link} ${reason}`);
  }
  linkData(link: Link): void {
    this.told.push(`data ${link}`);
  }
  linkEnded(link: Link, cause: EndCause): void {
    this.told.push(`link ${link} ${cause}`);
    this.inside.setTimer(5_000);
  }
  timer(): void {
    this.told.push('timer');
  }
  closed(bytesFromDevice: number, bytesToDevice: number): void {
    this.told.push(`closed ${bytesFromDevice} ${bytesToDevice}`);
  }
}

let engine: Engine;
let talks: Talk[] = [];
let faults: unknown[] = [];
const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  await engine.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  // Of every connection, in every test: its end is told once, and last.
  for (const { told } of talks) {
    expect(told.filter((line) => line.startsWith('closed'))).toEqual([told.at(-1)]);
  }
});

function keep(socket: Socket): Socket {
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** A node that does nothing by itself; `taken` gives its side of each link, one after the other. */
async function startNode(): Promise<{ target: Target; taken: () => Promise<Socket> }> {
  const links: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => links.push(keep(socket)));
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    target: { slot: 0, nodeId: 'node', host: '127.0.0.1', port },
    taken: () => until(() => links.shift(), 'the node to be dialled'),
  };
}

/** A target where nobody listens. */
async function closedTarget(): Promise<Target> {
  const { target } = await startNode();
  await new Promise((resolve) => servers.pop()?.close(resolve));
  return target;
}

async function startEngine(
  targets: readonly Target[],
  { highWaterBytes = HIGH_WATER, prepare = (_: Talk): void => {} } = {},
): Promise<number> {
  talks = [];
  faults = [];
  engine = new NodeEngine({
    highWaterBytes,
    onFault: (error) => faults.push(error),
    accept: (wire) => {
      const talk = new Talk(wire, targets);
      prepare(talk);
      talks.push(talk);
      return talk;
    },
  });
  return (await engine.listen({ index: 0, host: '127.0.0.1', port: 0 })).port;
}

function openDevice(port: number): Socket {
  return keep(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
}

/** A device whose link is spliced, and the node's end of that link behind the first byte. */
async function spliced(options: { highWaterBytes?: number } = {}) {
  const node = await startNode();
  const device = openDevice(await startEngine([node.target], options));
  device.write('.');
  const link = await node.taken();
  await once(link, 'readable');
  expect(link.read(1).toString()).toBe('.');
  const talk = talks[0] as Talk;
  return { device, link, talk, told: talk.told };
}

/** Everything until FIN. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const closed = (talk: Talk): Promise<string> =>
  until(() => talk.told.find((line) => line.startsWith('closed')), 'the connection to be closed');
const errorOf = (socket: Socket): Promise<unknown> => once(socket, 'error').then(([{ code }]) => code);

test('moves megabytes both ways at once, byte for byte, and counts them', async () => {
  const { device, link, talk } = await spliced();
  const [up, down] = [randomBytes(8 << 20), randomBytes(8 << 20)];
  device.end(up);
  link.end(down);
  const [gotUp, gotDown] = await Promise.all([readAll(link), readAll(device)]);
  expect([gotUp.equals(up), gotDown.equals(down)]).toEqual([true, true]);
  expect(await closed(talk)).toBe(`closed ${up.length + 1} ${down.length}`);
  expect(talk.told).toEqual(expect.arrayContaining(['device fin', 'link 0 fin']));
});

test.each([
  'device',
  'node',
] as const)('a %s that does not read stops its source; nothing is lost', async (who) => {
  const { device, link, talk } = await spliced();
  const [reader, writer, inner] =
    who === 'device'
      ? [device, link, talk.inside.device]
      : [link, device, talk.inside.links.get(0) as Socket];
  const sent = randomBytes(32 << 20);
  writer.end(sent);
  await until(() => inner.writableNeedDrain, 'back-pressure');
  for (let i = 0; i < 50; i++) {
    await turns(1);
    expect(inner.writableLength).toBeLessThanOrEqual(2 * HIGH_WATER);
  }
  expect((await readAll(reader)).equals(sent)).toBe(true);
});

test('a half-close passes behind the last byte, and the other direction goes on', async () => {
  const { device, link, talk } = await spliced();
  const [up, down] = [randomBytes(32 << 20), randomBytes(1 << 20)];
  device.end(up);
  await until(() => talk.inside.links.get(0)?.writableNeedDrain, 'bytes to queue before the FIN');
  expect((await readAll(link)).equals(up)).toBe(true);
  link.end(down);
  expect((await readAll(device)).equals(down)).toBe(true);
  await closed(talk);
  expect(talk.told.filter((line) => /device|link/.test(line))).toEqual(['device fin', 'link 0 fin']);
});

test('a device that resets has its link reset', async () => {
  const { device, link, talk } = await spliced();
  link.resume();
  device.resetAndDestroy();
  expect(await errorOf(link)).toBe('ECONNRESET');
  await closed(talk);
  expect(talk.told).toContain('device reset');
});

test('a device that goes away behind its half-close takes its link along', async () => {
  const { device, link, talk, told } = await spliced();
  device.end();
  await until(() => told.includes('device fin'), 'FIN');
  device.destroy(); // what still comes for it is answered by RST
  await until(() => link.write('.') && talk.inside.device.destroyed, 'the reset of the device');
  await closed(talk);
});

test('a node that resets: the device gets everything that had come, and then the end', async () => {
  const sent = randomBytes(8 << 20);
  const { device, link, talk } = await spliced({ highWaterBytes: 2 * sent.length });
  const inner = talk.inside.links.get(0) as Socket;
  link.write(sent);
  await until(() => inner.bytesRead === sent.length, 'all bytes to have come');
  link.resetAndDestroy();
  await until(() => talk.told.includes('link 0 reset'), 'the reset');
  expect((await readAll(device)).equals(sent)).toBe(true);
  device.end('nobody takes this');
  await closed(talk);
});

test('a dial that is refused says so', async () => {
  const device = openDevice(await startEngine([await closedTarget()]));
  device.write('.');
  await until(() => talks[0]?.told.includes('failed 0 ECONNREFUSED'), 'the refusal');
});

test('nothing of a link is told after endNode', async () => {
  const [first, second] = [await startNode(), await startNode()];
  const port = await startEngine([first.target, second.target], {
    prepare: (talk) => {
      talk.onOpened = (link) => {
        if (link === 1) return talk.splice(link);
        talk.inside.endNode(link, 'reset');
        talk.dial();
      };
    },
  });
  const device = openDevice(port);
  device.write('.');
  const dropped = await first.taken();
  dropped.write('too late');
  const link = await second.taken();
  link.write('in time');
  await once(device, 'readable');
  expect(device.read().toString()).toBe('in time');
  expect(talks[0]?.told).toEqual(['opened 0', 'opened 1']);
});

test('a dial that is given up while it runs is never told of', async () => {
  const node = await startNode();
  const port = await startEngine([node.target], {
    prepare: (talk) => {
      talk.onData = () => {
        const link = talk.inside.dial(node.target);
        talk.inside.endNode(link, 'reset');
      };
    },
  });
  openDevice(port).write('.');
  await until(() => talks[0]?.told.includes('opened 1'), 'the second dial');
  expect(talks[0]?.told).toEqual(['opened 1']);
});

test('a link that is left hears the node out: what the node still says meets no reset [MQTT-3.14.4-3]', async () => {
  const node = await startNode();
  const port = await startEngine([node.target], {
    prepare: (talk) => {
      talk.onOpened = (link) => {
        talk.inside.toNode(link, Buffer.from('goodbye'), 0, 7);
        talk.inside.endNode(link, 'flush');
      };
    },
  });
  const device = openDevice(port);
  device.write('.');
  const link = await node.taken();
  const errors: Error[] = [];
  link.on('error', (error) => errors.push(error));
  for (let answer = 0; answer < 3; answer++) {
    await new Promise((written) => link.write('late answer', written));
    await new Promise(setImmediate);
  }
  expect((await readAll(link)).toString()).toBe('goodbye');
  expect(errors).toEqual([]);
  expect(link.destroyed).toBe(false);
  link.end();
  device.end();
  talks[0]?.inside.endDevice('flush');
  await closed(talks[0] as Talk);
});

test('close does not wait for a link that is left', async () => {
  const node = await startNode();
  const port = await startEngine([node.target], {
    prepare: (talk) => {
      talk.onOpened = (link) => talk.inside.endNode(link, 'flush');
    },
  });
  openDevice(port).write('.');
  await node.taken();
  await until(() => talks[0]?.told.includes('opened 0'), 'the link');
  await engine.close();
  await closed(talks[0] as Talk);
});

test('endDevice flushes what waits, and then ends', async () => {
  const bye = randomBytes(1 << 20);
  const port = await startEngine([], {
    prepare: (talk) => {
      talk.onData = () => {
        talk.inside.toDevice(bye, 0, bye.length);
        talk.inside.endDevice('flush');
      };
    },
  });
  const device = openDevice(port);
  device.write('.');
  expect((await readAll(device)).equals(bye)).toBe(true);
  device.end();
  await closed(talks[0] as Talk);
  expect(talks[0]?.told).toEqual([`closed 1 ${bye.length}`]);
});

test('the timer fires once, is replaced, and is cleared', async () => {
  const port = await startEngine([], {
    prepare: (talk) => {
      talk.inside.setTimer(1);
      talk.inside.setTimer(0);
      talk.onData = () => {
        talk.inside.setTimer(60_000);
        talk.inside.setTimer(1);
      };
    },
  });
  openDevice(port).write('.');
  await until(() => talks[0]?.told.includes('timer'), 'the timer');
  expect(talks[0]?.told).toEqual(['timer']);
});

test('an exception ends its own connection and no other', async () => {
  const { device, link } = await spliced();
  const unlucky = openDevice(device.remotePort as number);
  const other = await until(() => talks[1], 'the second device');
  other.onData = () => {
    throw new Error('bug');
  };
  unlucky.write('.');
  unlucky.resume();
  expect(await errorOf(unlucky)).toBe('ECONNRESET');
  expect(faults).toEqual([new Error('bug')]);
  await closed(other);

  device.write('still here');
  await once(link, 'readable');
  expect(link.read().toString()).toBe('still here');
});

test('an exception while a device is accepted ends that one', async () => {
  const port = await startEngine([], {
    prepare: () => {
      throw new Error('bug');
    },
  });
  const device = openDevice(port);
  device.resume();
  expect(await errorOf(device)).toBe('ECONNRESET');
  expect(faults).toEqual([new Error('bug')]);
});

test('stopAccepting refuses new devices and leaves the others alone', async () => {
  const { device, link } = await spliced();
  engine.stopAccepting();
  const late = openDevice(device.remotePort as number);
  expect(await errorOf(late)).toBe('ECONNREFUSED');
  device.write('still here');
  await once(link, 'readable');
  expect(link.read().toString()).toBe('still here');
});

test('close resets all, and is done when every end has been told', async () => {
  const { device, talk } = await spliced();
  device.resume();
  const reset = errorOf(device);
  await engine.close();
  expect(talk.told.at(-1)).toBe('closed 1 0');
  expect(await reset).toBe('ECONNRESET');
});

test('an address in use says which', async () => {
  const port = await startEngine([]);
  const again = engine.listen({ index: 1, host: '127.0.0.1', port });
  await expect(again).rejects.toMatchObject({
    code: 'ADDRESS_IN_USE',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
  const elsewhere = engine.listen({ index: 1, host: '192.0.2.1', port: 0 });
  await expect(elsewhere).rejects.toMatchObject({ code: 'ADDRESS_NOT_AVAILABLE' });
});
