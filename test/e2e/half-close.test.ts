import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { generate } from 'mqtt-packet';
import { beforeAll, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { createAuthority } from '../support/certificates.ts';
import { connectBytes } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { accepts, atEnd, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

// A node that ends its own side, and still reads: the device hears the end, and what it says until it ends its own side
// reaches the node, as it does without us and behind HAProxy.

const ways = ['direct', 'haproxy', 'relay', 'session', 'session-tls', 'portable', 'portable-tls'] as const;
type Way = (typeof ways)[number];

const publish = (topic: string): Buffer =>
  generate({ cmd: 'publish', topic, payload: '.', qos: 0, dup: false, retain: false });

const ports = new Map<Way, number>();
/** What each device said to the node, by its client id, and whether the node heard it to the end. */
const heard = new Map<string, string>();
const root = createAuthority('root');

/** Takes every CONNECT, and ends its side when it is asked to. */
function serve(socket: Socket): void {
  let text = '';
  const note = (): void => void heard.set(/device:[a-z-]+:/.exec(text)?.[0] ?? '', text);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    if (text === '') socket.write(Buffer.of(0x20, 2, 0, 0));
    text += chunk.toString('latin1');
    note();
    if (chunk.includes('please-end')) socket.end();
  });
  socket.on('end', () => {
    text += ' fin';
    note();
  });
}

async function startHaproxy(to: number): Promise<number> {
  const port = await freePort();
  const file = join(temporaryDirectory(), 'haproxy.cfg');
  const defaults = ['defaults', 'mode tcp', 'timeout connect 5s', 'timeout client 60s', 'timeout server 60s'];
  const listen = ['listen all', `bind 127.0.0.1:${port}`, `server node 127.0.0.1:${to}`, ''];
  writeFileSync(file, [...defaults, ...listen].join('\n'));
  await accepts(port, start('haproxy', ['-f', file]));
  return port;
}

beforeAll(async () => {
  const node = createServer({ allowHalfOpen: true, noDelay: true }, serve).listen(0, '127.0.0.1');
  atEnd(() => void node.close());
  await once(node, 'listening');
  const { port } = node.address() as AddressInfo;
  const { certFile, keyFile } = root.issue({ cn: 'proxy', names: 'IP:127.0.0.1' });
  const plain = (mode: string) => ({ url: 'mqtt://127.0.0.1:0', mode });
  const secured = { url: 'mqtts://127.0.0.1:0', mode: 'session', tls: { cert: certFile, key: keyFile } };
  const pools = { default: { nodes: [{ url: `mqtt://127.0.0.1:${port}` }] } };
  const [front, native, portable] = await Promise.all([
    startHaproxy(port),
    startBreakwater({ listeners: [plain('relay'), plain('session'), secured], pools }),
    startBreakwater({ proxy: { engine: 'node' }, listeners: [plain('session'), secured], pools }),
  ]);
  const all = [port, front, ...native.ports, ...portable.ports];
  for (const [at, way] of ways.entries()) ports.set(way, all[at] as number);
});

function connectTo(way: Way): Socket {
  const to = { port: ports.get(way) as number, host: '127.0.0.1', noDelay: true, allowHalfOpen: true };
  return way.endsWith('tls') ? connectTls({ ...to, ca: root.cert }) : connect(to);
}

test.each(ways)('%s: nothing that is said is lost', async (way) => {
  const id = `device:${way}:`;
  const socket = connectTo(way);
  atEnd(() => void socket.destroy());
  socket.on('error', () => {}).write(connectBytes(id));
  await once(socket, 'data');
  socket.resume();
  const ended = once(socket, 'end');
  socket.write(publish('please-end'));
  await until(() => heard.get(id)?.includes('please-end'), 'the request');
  socket.write(publish('while-nobody-knows'));
  await ended;
  socket.write(publish('behind-the-end'));
  await until(() => heard.get(id)?.includes('behind-the-end'), 'the last message');
  socket.end();
  await until(() => heard.get(id)?.endsWith(' fin'), 'the end of the device');
  expect(heard.get(id)?.match(/please-end|while-nobody-knows|behind-the-end/g)).toEqual([
    ...['please-end', 'while-nobody-knows', 'behind-the-end'],
  ]);
});
