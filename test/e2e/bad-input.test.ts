import { once } from 'node:events';
import type { Socket } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { connectBytes, connectDevice, openSocket } from '../support/devices.ts';
import { residentBytes } from '../support/process.ts';
import { until } from '../support/wait.ts';

let breakwater: Breakwater;
beforeAll(async () => {
  const [broker] = await startAedes(1);
  breakwater = await startBreakwater({
    pools: { default: { nodes: [{ url: broker?.url }] } },
    limits: { connectTimeout: 1 },
  });
});

/** How often devices were turned away for this reason, by the metrics. */
async function rejected(reason: string): Promise<number> {
  const text = await (await fetch(`${breakwater.adminUrl}/metrics`)).text();
  const line = text
    .split('\n')
    .find((l) => l.startsWith('breakwater_connect_rejected_total{') && l.includes(`"${reason}"`));
  return line === undefined ? 0 : Number(line.split(' ')[1]);
}

/** Sends, and gathers what comes back until the proxy closes. */
async function answerTo(bytes: Uint8Array): Promise<Buffer> {
  const socket = openSocket(breakwater.port);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes);
  await closeOf(socket);
  return Buffer.concat(chunks);
}

async function closeOf(socket: Socket): Promise<void> {
  socket.resume();
  await new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
}

const tlsHello = Buffer.from('160301020001fc030300112233445566778899aabbccddeeff', 'hex');
const deadLength = Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4]);
const level9 = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 9, 2, 0, 60, 0, 1, 0x61]);
const noUser = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0x82, 0, 60, 0, 1, 0x61]);

test.each([
  ['random bytes', Buffer.from('9f3c71e0d5a8421bb6', 'hex'), 'not-mqtt', ''],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'not-mqtt', ''],
  ['a TLS client hello', tlsHello, 'not-mqtt', ''],
  ['a remaining length of 256 MB', deadLength, 'too-large', ''],
  ['a user name that is not there [MQTT-3.1.2-19]', noUser, 'malformed', ''],
  ['protocol level 9 [MQTT-3.1.2-2]', level9, 'protocol-version', '2003008400'],
])('%s: closed, answered and counted', async (_, bytes, reason, reply) => {
  const before = await rejected(reason);
  expect((await answerTo(bytes)).toString('hex')).toBe(reply);
  await until(async () => (await rejected(reason)) === before + 1, 'the count');
});

test('a dribbled CONNECT and 500 silent sockets are closed in time, and others are unaffected', async () => {
  const device = await connectDevice(breakwater.port, 'bystander');
  const before = { count: await rejected('connect-timeout'), memory: residentBytes(breakwater.pid) };

  const silent = Array.from({ length: 500 }, () => openSocket(breakwater.port));
  const dribbling = openSocket(breakwater.port);
  const bytes = connectBytes('dribbler');
  let sent = 0;
  const dribble = setInterval(() => dribbling.write(bytes.subarray(sent, ++sent)), 250); // would take 5 s
  await Promise.all([...silent, dribbling].map(closeOf));
  clearInterval(dribble);
  expect(sent).toBeLessThan(bytes.length);

  await until(async () => (await rejected('connect-timeout')) === before.count + 501, 'the count');
  expect(residentBytes(breakwater.pid) - before.memory).toBeLessThan(64 * 1024 * 1024);
  device.socket.write(Buffer.from([0xc0, 0])); // PINGREQ
  expect([...(await once(device.socket, 'data'))[0]]).toEqual([0xd0, 0]);
});

test('a client id that would steer a terminal is shown, and not obeyed', async () => {
  const steering = ['\u009b2J', '\u001b[2J', '\u202e', '\u2066', '\u2028', '\u007f'];
  const clientId = `meter-${steering.join('')}-7`;
  await connectDevice(breakwater.port, clientId);
  const at = ['--admin', breakwater.adminUrl];
  for (const args of [
    ['client', 'list'],
    ['client', 'inspect', clientId],
    ['client', 'list', '--json'],
  ]) {
    const { stdout, stderr } = await run([...args, ...at]);
    expect(stdout, args.join(' ')).toContain('meter-\\u009b2J');
    for (const each of steering) expect(stdout + stderr, args.join(' ')).not.toContain(each);
  }
  const { stderr } = await run(['client', 'inspect', `nobody-${steering.join('')}`, ...at]);
  expect(stderr).toContain('nobody-');
  for (const each of steering) {
    expect(stderr).not.toContain(each);
    expect(breakwater.output()).not.toContain(each);
  }
});
