import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { generate } from 'mqtt-packet';
import { beforeAll, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectBytes } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { accepts, atEnd, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

// A node that ends its own side, and still reads: the device hears the end, and what it says until it ends its own side
// reaches the node, as it does without us and behind HAProxy.

const publish = (topic: string): Buffer =>
  generate({ cmd: 'publish', topic, payload: '.', qos: 0, dup: false, retain: false });

/** What each device said to the node, by its client id, and whether the node heard it to the end. */
const heard = new Map<string, string>();
const ports = { direct: 0, haproxy: 0, relay: 0, session: 0 };

const idIn = (text: string): string => /device-(direct|haproxy|relay|session)/.exec(text)?.[0] ?? '';

/** Takes every CONNECT, and ends its side when it is asked to. */
function serve(socket: Socket): void {
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    if (text === '') socket.write(Buffer.of(0x20, 2, 0, 0));
    text += chunk.toString('latin1');
    heard.set(idIn(text), text);
    if (chunk.includes('please-end')) socket.end();
  });
  socket.on('end', () => {
    heard.set(idIn(text), `${text} fin`);
  });
}

beforeAll(async () => {
  const node = createServer({ allowHalfOpen: true, noDelay: true }, serve).listen(0, '127.0.0.1');
  atEnd(() => void node.close());
  await once(node, 'listening');
  ports.direct = (node.address() as AddressInfo).port;
  ports.haproxy = await freePort();
  const file = join(temporaryDirectory(), 'haproxy.cfg');
  const lines = ['defaults', 'mode tcp', 'timeout connect 5s', 'timeout client 60s', 'timeout server 60s'];
  writeFileSync(
    file,
    [
      ...lines,
      'listen all',
      `bind 127.0.0.1:${ports.haproxy}`,
      `server node 127.0.0.1:${ports.direct}`,
      '',
    ].join('\n'),
  );
  await accepts(ports.haproxy, start('haproxy', ['-f', file]));
  const breakwater = await startBreakwater({
    listeners: ['relay', 'session'].map((mode) => ({ url: 'mqtt://127.0.0.1:0', mode })),
    pools: { default: { nodes: [{ url: `mqtt://127.0.0.1:${ports.direct}` }] } },
  });
  [ports.relay = 0, ports.session = 0] = breakwater.ports;
});

test.each([
  'direct',
  'haproxy',
  'relay',
  'session',
] as const)('%s: nothing that is said is lost', async (way) => {
  const socket = connect({ port: ports[way], host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  atEnd(() => void socket.destroy());
  socket.on('error', () => {}).write(connectBytes(`device-${way}`));
  await once(socket, 'data');
  socket.resume();
  const ended = once(socket, 'end');
  socket.write(publish('please-end'));
  await until(() => heard.get(`device-${way}`)?.includes('please-end'), 'the request');
  socket.write(publish('while-nobody-knows'));
  await ended;
  socket.write(publish('behind-the-end'));
  await until(() => heard.get(`device-${way}`)?.includes('behind-the-end'), 'the last message');
  socket.end();
  await until(() => heard.get(`device-${way}`)?.endsWith(' fin'), 'the end of the device');
  expect(heard.get(`device-${way}`)?.match(/[a-z]+-[a-z]+-[a-z]+/g)).toEqual([
    'while-nobody-knows',
    'behind-the-end',
  ]);
});
