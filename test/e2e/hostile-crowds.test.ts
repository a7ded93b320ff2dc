import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Bystander, startBystander } from '../support/bystander.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { connectBytes, connectDevice } from '../support/devices.ts';
import { startHttpNode } from '../support/http.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { until } from '../support/wait.ts';

/**
 * What many connections send to use up what all need, while a bystander on the same thread speaks all the time. What holds
 * it up is counted as time for which the thread had a core.
 */
const MOST_TRIP_MS = 50;
/** A machine that keeps the bystander itself waiting adds to that, now and then; what the thread does is there each time. */
const TIMES = 3;

/** Half of the handshakes of a thread are for other sources than one. */
const ELSEWHERE = { localAddress: '127.0.0.9' };

let root: Authority;
let server: Issued;
let hello: Buffer;

beforeAll(async () => {
  root = createAuthority('root');
  server = root.issue({ cn: 'one', names: 'IP:127.0.0.1' });
  hello = await helloOf('ffdhe8192');
});

/** The first flight of a client that has a key share of this group. */
async function helloOf(group: string): Promise<Buffer> {
  const trap = createServer().listen(0, '127.0.0.1');
  await once(trap, 'listening');
  const { port } = trap.address() as { port: number };
  const accepted = once(trap, 'connection') as Promise<[Socket]>;
  const client = connectTls({ host: '127.0.0.1', port, minVersion: 'TLSv1.3', ecdhCurve: group });
  client.on('error', () => undefined);
  const [socket] = await accepted;
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  trap.close();
  return bytes;
}

describe.each([fastestEngine, 'node'])('a crowd at the %s engine', (engine) => {
  /** The engine has no part in it. */
  const elsewhere = test.runIf(engine !== 'node');
  let bystander: Bystander;
  let breakwater: Breakwater;
  let sockets: Socket[] = [];
  const port = (listener: number) => breakwater.ports[listener] as number;

  beforeAll(async () => {
    bystander = await startBystander();
    const web = await startHttpNode((request, response) => {
      request.on('end', () => setImmediate(() => response.end('ok'))).resume();
    });
    const tls = { cert: server.certFile, key: server.keyFile };
    breakwater = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url: 'mqtt://127.0.0.1:0', pool: 'calm' },
        { url: 'mqtts://127.0.0.1:0', pool: 'calm', tls },
        { url: 'http://127.0.0.1:0', pool: 'web' },
        { url: 'ws://127.0.0.1:0/mqtt', pool: 'calm' },
      ],
      pools: { calm: { nodes: [{ url: bystander.url }] }, web: { nodes: [{ id: 'web', url: web.url }] } },
      limits: { pendingBytes: 16_777_216 },
    });
    await bystander.speak(breakwater);
  });
  afterAll(() => breakwater.kill('SIGKILL')); // the bystander falls silent with it

  function open(listener: number, count: number): Socket[] {
    const opened = Array.from({ length: count }, () =>
      connect({ port: port(listener), host: '127.0.0.1' }).on('error', () => undefined),
    );
    sockets.push(...opened);
    return opened;
  }

  /** Runs it while the bystander speaks, who must not be held up by it. */
  async function holdsUpNobody(run: () => Promise<unknown>): Promise<void> {
    let leastMs = Number.POSITIVE_INFINITY;
    for (let time = 0; time < TIMES && leastMs >= MOST_TRIP_MS; time++) {
      leastMs = Math.min(leastMs, await bystander.during(run));
      for (const socket of sockets) socket.destroy();
      sockets = [];
    }
    expect(leastMs).toBeLessThan(MOST_TRIP_MS);
  }

  async function shakesHands(): Promise<void> {
    const device = connectTls({ ...ELSEWHERE, host: '127.0.0.1', port: port(1), ca: root.cert });
    sockets.push(device);
    await once(device, 'secureConnect');
    device.write(connectBytes(`secure-${Math.random()}`));
    await once(device, 'data');
  }

  test('that offers ffdhe8192 key shares, again and again', async () => {
    expect(hello.length).toBeGreaterThan(1000); // the share alone is 1 KiB
    await holdsUpNobody(async () => {
      for (const socket of open(1, 150)) socket.write(hello);
      await shakesHands();
    });
  });

  test('that sends one byte of a hello each', async () => {
    await holdsUpNobody(async () => {
      const crowd = open(1, 1000);
      for (const socket of crowd) socket.write(Buffer.of(22));
      await Promise.all(
        crowd.map((socket) => socket.connecting && once(socket, 'connect').catch(() => undefined)),
      );
      await shakesHands();
    });
  });

  test('that shakes hands in full', async () => {
    await holdsUpNobody(() => Promise.all(Array.from({ length: 150 }, shakesHands)));
  });

  elsewhere('of 1,500 requests on one connection', async () => {
    const requests = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1500);
    await holdsUpNobody(async () => {
      const [socket] = open(2, 1) as [Socket];
      let answers = 0;
      socket.on('data', (chunk: Buffer) => {
        answers += chunk.toString('latin1').split('HTTP/1.1 200').length - 1;
      });
      socket.write(requests);
      const other = await fetch(`http://127.0.0.1:${port(2)}/`);
      expect(other.status).toBe(200);
      await until(() => answers >= 100, 'the first of the answers');
    });
  });

  elsewhere('of 256 idle connections of the admin port', async () => {
    await holdsUpNobody(async () => {
      const { hostname, port: adminPort } = new URL(breakwater.adminUrl);
      const idle = Array.from({ length: 256 }, () =>
        connect({ port: Number(adminPort), host: hostname }).on('error', () => undefined),
      );
      sockets.push(...idle);
      for (const socket of idle) socket.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await fetch(`${breakwater.adminUrl}/livez`)).status).toBe(200);
      expect((await fetch(`${breakwater.adminUrl}/api/v1/status`)).status).toBe(200);
    });
  });

  test('of CONNECTs of a MiB that do not end', async () => {
    const start = Buffer.concat([
      Buffer.of(0x10, 0xff, 0xff, 0x3f),
      connectBytes('x').subarray(2),
      Buffer.alloc(1_000_000),
    ]);
    await holdsUpNobody(async () => {
      for (const socket of open(0, 60)) socket.write(start);
      await connectDevice(port(0), `other-${Math.random()}`);
    });
  });

  elsewhere('of ids of 64 KiB of control characters, which are refused', async () => {
    const bytes = connectBytes('\u0001'.repeat(65_535));
    await holdsUpNobody(async () => {
      for (const socket of open(0, 50)) socket.write(bytes);
      await connectDevice(port(0), `other-${Math.random()}`);
    });
  });

  test('of WebSocket frames of one byte, and pings between them', async () => {
    const upgrade =
      'GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n';
    const frame = Buffer.of(0x82, 0x81, 0, 0, 0, 0, 0xc0, 0x82, 0x81, 0, 0, 0, 0, 0, 0x89, 0x80, 0, 0, 0, 0);
    const CLOSE = Buffer.of(0x88, 0x80, 0, 0, 0, 0);
    const hi = connectBytes('frames');
    const first = Buffer.concat([Buffer.of(0x82, 0x80 | hi.length, 0, 0, 0, 0), hi]);
    const frames = Buffer.concat([Buffer.from(upgrade), first, ...Array<Buffer>(30_000).fill(frame), CLOSE]);
    await holdsUpNobody(async () => {
      const [socket] = open(3, 1) as [Socket];
      socket.resume().write(frames);
      await once(socket, 'close'); // behind the last of them
    });
  });
});
