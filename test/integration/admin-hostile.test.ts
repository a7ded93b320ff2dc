import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Admin, AdminOptions } from '../../src/admin/admin.ts';
import { startAdmin } from '../support/admin.ts';
import { adminToken, createMemoryBackend, memoryNode, silentLog } from '../support/memory-backend.ts';
import { until } from '../support/wait.ts';

/** What a stranger does to the admin port harms nobody else who uses it. */

const MAX = 256;
const RESERVE = 32;
const started: Admin[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(started.splice(0).map((admin) => admin.close()));
});

async function start(options: Partial<AdminOptions> = {}) {
  const warnings: unknown[] = [];
  const backend = createMemoryBackend([memoryNode('a')], []);
  const admin = await startAdmin({
    url: 'http://127.0.0.1:0',
    tokens: () => [],
    backend,
    log: { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) },
    ...options,
  });
  started.push(admin);
  return { admin, backend, warnings };
}

/** A connection that says this and keeps itself open. */
async function open(url: string, text = '', localAddress = '127.0.0.1'): Promise<Socket> {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, localAddress });
  socket.on('error', () => {});
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;

/** Everything that is answered to this, up to the end of the connection or of the first answer. */
async function answer(url: string, text: string, localAddress?: string): Promise<string> {
  const socket = await open(url, text, localAddress);
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk;
  });
  await until(
    () => {
      const [, length] = /content-length: (\d+)/i.exec(said) ?? [];
      const body = said.slice(said.indexOf('\r\n\r\n') + 4);
      return socket.closed || (length !== undefined && Buffer.byteLength(body) >= Number(length));
    },
    `an answer to ${text.slice(0, 40)}`,
  );
  socket.destroy();
  return said;
}

const many = (url: string, count: number, text: string, from?: string) =>
  Promise.all(Array.from({ length: count }, async () => (await open(url, text, from)).resume()));

test.each([
  ['keep-alive sockets on /livez', request('/livez')],
  ['sockets that say nothing', ''],
  ['sockets in the middle of a head', 'GET /livez HTTP/1.1\r\nHost:'],
])('more %s than there are places lock nobody out, and are closed for others', async (_, text) => {
  const { admin } = await start();
  const count = MAX + RESERVE + 50;
  const held = await many(admin.url, count, text);
  await until(() => held.filter(({ closed }) => closed).length >= count - MAX - RESERVE, 'some to be closed');
  for (const path of ['/livez', '/readyz', '/api/v1/nodes'])
    expect(await answer(admin.url, request(path))).toMatch(/^HTTP\/1\.1 200 /);
});

test('of those that are idle the source with most goes first', async () => {
  const { admin } = await start();
  const person = await open(admin.url, request('/livez'), '127.0.0.3');
  await many(admin.url, 2 * MAX, request('/livez'), '127.0.0.2');
  person.write(request('/api/v1/nodes'));
  let said = '';
  person.on('data', (chunk) => {
    said += chunk;
  });
  await until(() => said.includes('"id":"a"'), 'the answer');
});

test('while every place is at work, probes are answered, and others told', async () => {
  const { admin, backend } = await start();
  let atWork = 0;
  backend.clients = () => {
    atWork++;
    return new Promise(() => {});
  };
  const busy = await many(admin.url, MAX, request('/api/v1/clients'));
  await until(() => atWork === MAX, 'every place to be at work');
  const refused = await answer(admin.url, request('/api/v1/nodes'));
  expect(refused).toMatch(/^HTTP\/1\.1 503 .*"code":"ADMIN_BUSY"/s);
  await many(admin.url, RESERVE + 50, request('/livez'));
  for (const path of ['/livez', '/readyz'])
    expect(await answer(admin.url, request(path))).toMatch(/^HTTP\/1\.1 200 /);
  expect(busy.filter(({ closed }) => closed)).toEqual([]);
  for (const socket of busy) socket.destroy();
  await until(
    async () => (await answer(admin.url, request('/api/v1/nodes'))).startsWith('HTTP/1.1 200 '),
    'a place to be free',
  );
});

test('wrong tokens are throttled for each source, and logged at a bounded rate', async () => {
  const { admin, warnings } = await start({ tokens: () => [adminToken('right')] });
  const from = (address: string, token: string) =>
    answer(admin.url, request('/api/v1/nodes', `Authorization: Bearer ${token}\r\n`), address);
  const statuses: (string | undefined)[] = [];
  for (let i = 0; i < 40; i++)
    statuses.push(/^HTTP\/1\.1 (\d+)/.exec(await from('127.0.0.2', `wrong-${i}`))?.[1]);
  expect(statuses.slice(0, 20)).toEqual(Array(20).fill('401'));
  const held = await until(async () => {
    const said = await from('127.0.0.2', 'wrong');
    return said.includes(' 429 ') && said;
  }, 'the source to be held');
  expect(held).toMatch(/retry-after: \d+/);
  expect(held).toContain('"code":"TOO_MANY_GUESSES"');
  expect(await from('127.0.0.3', 'right')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await answer(admin.url, request('/livez'), '127.0.0.2')).toMatch(/^HTTP\/1\.1 200 /);
  expect(warnings).toEqual([{ remoteAddress: '127.0.0.2', more: 0 }]);
  await until(
    async () => (await from('127.0.0.2', 'right')).startsWith('HTTP/1.1 200 '),
    'it to be heard again',
  );
});

test.each([
  ['a path of %', 'GET /% HTTP/1.1', 400],
  ['an id that is not encoded well', 'GET /api/v1/nodes/%zz HTTP/1.1', 400],
  ['an id that is no UTF-8', 'GET /api/v1/clients/%c3%28 HTTP/1.1', 400],
  ['another version of HTTP', 'GET /api/v1/nodes HTTP/9.9', 400],
  ['no HTTP', 'NONSENSE', 400],
  ['an endless path', `GET /api/v1/nodes/${'x'.repeat(300_000)} HTTP/1.1`, 431],
  ['an id that is too long', `GET /api/v1/clients/${'x'.repeat(200_000)} HTTP/1.1`, 414],
  ['a way out of the tree', 'GET /api/v1/../../etc/passwd HTTP/1.1', 404],
  ['a path of another host', 'GET //evil.example/ HTTP/1.1', 404],
] as const)('%s is answered in the documented shape', async (_, line, status) => {
  const { admin } = await start();
  const said = await answer(admin.url, `${line}\r\nHost: 127.0.0.1\r\n\r\n`);
  expect(said).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(JSON.parse(said.slice(said.indexOf('\r\n\r\n') + 4))).toEqual({
    code: status === 404 ? 'NOT_FOUND' : 'REQUEST_INVALID',
    message: expect.any(String),
    retryable: false,
  });
});
