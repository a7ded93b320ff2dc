import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { clientIds, connectDevice, connectDevices, type Device, openSocket } from '../support/devices.ts';
import { endOf } from '../support/fake-node.ts';
import { freePort } from '../support/free-port.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { atEnd } from '../support/process.ts';
import { until } from '../support/wait.ts';

// The end of a link is the word of a broker that lives, and goes on to the device; or its node is gone, and the session
// moves. Real brokers, with many other sessions beside the one that is looked at.

const SESSIONS = 100;

/** As the two differ in what they can say: 3.1.1 has only the close. */
const versions = [4, 5] as const;

const badPackets: Record<string, (version: 4 | 5) => Buffer> = {
  'PUBLISH to a filter': () => Buffer.from('3207' + '00032b2f61' + '0001', 'hex'),
  'SUBSCRIBE to a/#/b': (version) =>
    Buffer.from(
      version === 4 ? '820a0001' + '0005612f232f62' + '00' : '820b000100' + '0005612f232f62' + '00',
      'hex',
    ),
  'packet id 0': (version) =>
    Buffer.from(version === 4 ? '3205' + '000174' + '0000' : '3206' + '000174' + '0000' + '00', 'hex'),
};

interface Ended {
  /** All bytes behind CONNACK. */
  readonly heard: string;
  readonly end: string;
}

/** A device with a Will that sends this, and what it hears until its connection ends. */
async function tell(port: number, clientId: string, protocolVersion: 4 | 5, bytes: Buffer): Promise<Ended> {
  const socket = openSocket(port);
  const will = { topic: `will/${clientId}`, payload: Buffer.from('.'), qos: 0, retain: false } as const;
  socket.write(
    generate({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion, clientId, clean: true, keepalive: 60, will },
    }),
  );
  await once(socket, 'data');
  const heard: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  socket.write(bytes);
  const end = await endOf(socket);
  socket.destroy();
  return { heard: Buffer.concat(heard).toString('hex'), end };
}

/** Wills that brokers published, by topic. */
async function watchWills(brokers: readonly Mosquitto[]): Promise<string[]> {
  const wills: string[] = [];
  for (const { port } of brokers) {
    const { socket } = await connectDevice(port, `watcher-${port}`);
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      for (const [topic] of text.matchAll(/will\/[a-z0-9-]+/g)) wills.push(topic);
    });
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'will/#', qos: 0 }] }));
    await once(socket, 'data');
  }
  return wills;
}

/** Sessions of these clients that were moved, by what showed that their node was gone. */
function moves({ logs }: Breakwater, prefix: string): unknown[] {
  return logs()
    .filter(({ msg, clientId }) => msg.startsWith('session') && String(clientId).startsWith(prefix))
    .map(({ evidence }) => evidence);
}

const connections = (broker: Mosquitto, clientId: string): number =>
  broker.output().split(` as ${clientId} (`).length - 1;

describe('a broker that lives', () => {
  let brokers: Mosquitto[];
  let breakwater: Breakwater;
  let others: Device[];
  let wills: string[];
  let lost = 0;
  beforeAll(async () => {
    brokers = await Promise.all([startMosquitto(), startMosquitto()]);
    breakwater = await startBreakwater({
      pools: { default: { nodes: brokers.map(({ url }) => ({ url })) } },
    });
    wills = await watchWills(brokers);
    others = await connectDevices(breakwater.port, clientIds(2 * SESSIONS, 'other'), () => ({
      keepAlive: 0,
    }));
    for (const { socket } of others) socket.once('close', () => lost++);
  });

  test.each(
    versions.flatMap((version) => Object.keys(badPackets).map((name) => [name, version] as const)),
  )('does not take a packet: %s (version %i)', async (name, version) => {
    const bytes = badPackets[name]?.(version) ?? Buffer.alloc(0);
    const clientId = `bad-${version}-${name.replaceAll(/\W/g, '-').toLowerCase()}`;
    const direct = await tell(brokers[0]?.port ?? 0, `direct-${clientId}`, version, bytes);
    const proxied = await tell(breakwater.port, clientId, version, bytes);
    expect(proxied).toEqual(direct);
    await until(() => wills.includes(`will/${clientId}`), 'its Will');
    expect(wills.filter((topic) => topic === `will/${clientId}`)).toHaveLength(1);
    expect(moves(breakwater, clientId)).toEqual([]);
    expect(brokers.map((broker) => connections(broker, clientId)).sort()).toEqual([0, 1]);
  });

  test('gives the session to another connection, which the device does not take it back from', async () => {
    const device = await connectDevice(breakwater.port, 'taken');
    const broker = await until(() => brokers.find((each) => each.clients().includes('taken')), 'its node');
    const ended = endOf(device.socket);
    const newcomer = await connectDevice(broker.port, 'taken');
    expect(await ended).toBe('fin');
    newcomer.socket.write(Buffer.of(0xc0, 0));
    const [answer] = await once(newcomer.socket, 'data');
    expect([...answer]).toEqual([0xd0, 0]);
    expect(moves(breakwater, 'taken')).toEqual([]);
    expect(brokers.map((each) => connections(each, 'taken')).sort()).toEqual([0, 2]);
  });

  test('and nobody else was disturbed by any of this', async () => {
    expect(lost).toBe(0);
    expect(moves(breakwater, 'other')).toEqual([]);
    const nodes = await breakwater.api<{ health: string }[]>('nodes');
    expect(nodes.map(({ health }) => health)).not.toContain('unhealthy');
  });
});

/** An address that outlives its broker: what stands behind it for new connections can be changed. */
async function sharedAddress(port: number) {
  let to = port;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const link = connect({ port: to, host: '127.0.0.1', noDelay: true });
    for (const [one, other] of [
      [socket, link],
      [link, socket],
    ] as const) {
      sockets.add(one);
      one
        .on('error', () => {})
        .once('close', () => {
          sockets.delete(one);
          other.resetAndDestroy();
        });
      one.pipe(other);
    }
  });
  const own = await freePort();
  await once(server.listen(own, '127.0.0.1'), 'listening');
  atEnd(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `mqtt://127.0.0.1:${own}`,
    use: (next: number) => {
      to = next;
    },
  };
}

describe('a broker that is killed', () => {
  /** Each test has a pool for itself; nodes and devices have its name in their ids. */
  const pools = ['restarted', 'replaced', 'lonely'] as const;
  type Pool = (typeof pools)[number];
  let restarted: Mosquitto[];
  let replaced: Mosquitto[];
  let lonely: Mosquitto[];
  let address: Awaited<ReturnType<typeof sharedAddress>>;
  let breakwater: Breakwater;

  beforeAll(async () => {
    const pair = () => Promise.all([startMosquitto(), startMosquitto()]);
    [restarted, replaced, lonely] = await Promise.all([pair(), pair(), pair()]);
    address = await sharedAddress(replaced[0]?.port ?? 0);
    const urls: Record<Pool, readonly (string | undefined)[]> = {
      restarted: restarted.map(({ url }) => url),
      replaced: [address.url, replaced[1]?.url],
      lonely: lonely.map(({ url }) => url),
    };
    const nodes = (pool: Pool) => urls[pool].map((url, i) => ({ id: `${pool}-${i}`, url }));
    breakwater = await startBreakwater({
      listeners: pools.map((pool) => ({ url: 'mqtt://127.0.0.1:0', pool })),
      pools: Object.fromEntries(pools.map((pool) => [pool, { nodes: nodes(pool) }])),
    });
  });

  async function crowd(pool: Pool, count: number) {
    const port = breakwater.ports[pools.indexOf(pool)] as number;
    const devices = await connectDevices(port, clientIds(count, pool));
    const closed: string[] = [];
    for (const { socket, clientId } of devices) socket.once('close', () => closed.push(clientId));
    return { devices, closed };
  }

  test('and started again at once by a supervisor: its sessions move', async () => {
    const { closed } = await crowd('restarted', 2 * SESSIONS);
    const [victim] = restarted as [Mosquitto];
    victim.kill('SIGKILL');
    const again = victim.restart();
    await until(() => moves(breakwater, 'restarted').length >= SESSIONS, 'the moves');
    await again;
    expect(closed).toEqual([]);
  });

  test('while another one answers at its address: links that end together are evidence', async () => {
    const [victim, behind] = [replaced[0] as Mosquitto, await startMosquitto()];
    const { closed } = await crowd('replaced', 2 * SESSIONS);
    address.use(behind.port);
    victim.kill('SIGKILL');
    await until(() => moves(breakwater, 'replaced').length >= SESSIONS, 'the moves');
    expect(new Set(moves(breakwater, 'replaced'))).toEqual(new Set(['together']));
    const incidents = breakwater
      .logs()
      .filter(({ evidence, lost, node }) => evidence && lost !== undefined && node === 'replaced-0');
    expect(incidents).toMatchObject([{ evidence: 'together', level: 'warn' }]);
    expect(closed).toEqual([]);
  });

  test('with a single session: its port refuses', async () => {
    const { devices, closed } = await crowd('lonely', 1);
    const isIt = (broker: Mosquitto) => broker.clients().length === 1;
    const victim = await until(() => lonely.find(isIt), 'its node');
    victim.kill('SIGKILL');
    await until(() => moves(breakwater, 'lonely').length === 1, 'the move');
    expect(moves(breakwater, 'lonely')).toEqual(['refused']);
    const { session } = await breakwater.api<{ session: { history: object[] } }>('clients/lonely-0');
    expect(session.history).toMatchObject([{ cause: 'link-lost', evidence: 'refused' }]);
    devices[0]?.socket.write(Buffer.of(0xc0, 0));
    expect([...(await once(devices[0]?.socket as Socket, 'data'))[0]]).toEqual([0xd0, 0]);
    expect(closed).toEqual([]);
  });
});
