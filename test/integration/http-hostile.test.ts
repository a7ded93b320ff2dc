import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { ask, askRaw, startHttpNode } from '../support/http.ts';
import { patience, until } from '../support/wait.ts';

/** What clients send who mean harm: two requests in one, requests that never end, and more than there is room for. */

let proxy: Breakwater;
/** Targets of the requests that reached the node. */
const reached: string[] = [];
/** Requests to `/turn/…` that are under way at the node, and the most that ever were. */
const inTurn = { now: 0, most: 0 };

beforeAll(async () => {
  const { url } = await startHttpNode((request, response) => {
    reached.push(`${request.method} ${request.url}`);
    if (request.url?.startsWith('/turn/')) {
      inTurn.most = Math.max(inTurn.most, ++inTurn.now);
      return setImmediate(() => {
        inTurn.now--;
        response.end(`turn ${request.url?.slice(6)}\n`);
      });
    }
    if (request.url === '/phrase') response.writeHead(200, 'tr\xe8s bien');
    if (request.url === '/endless') {
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        while (response.write(chunk));
      };
      response.on('drain', more);
      return more();
    }
    request.on('end', () => response.end('ok')).resume();
  });
  proxy = await startBreakwater({
    listeners: [{ url: 'http://127.0.0.1:0' }, { url: 'http://127.0.0.1:0', maxConnections: 1 }],
    pools: { default: { nodes: [{ id: 'a', url }] } },
    limits: {
      connectTimeout: 1,
      http: { maxHeadSize: 8192, maxBodySize: 100_000, requestTimeout: 2, stallTimeout: 1, keepAlive: 1 },
    },
  });
});

const get = (more = '', line = 'GET / HTTP/1.1') => `${line}\r\nHost: a\r\n${more}\r\n`;
const post = (more: string, body = '') => `${get(more, 'POST /first HTTP/1.1')}${body}`;
const chunked = 'Transfer-Encoding: chunked\r\n';
const hidden = get('', 'GET /hidden HTTP/1.1');

test.each<[status: number, what: string, bytes: string]>([
  [
    400,
    'Content-Length and Transfer-Encoding',
    post(`Content-Length: 4\r\n${chunked}`, `0\r\n\r\n${hidden}`),
  ],
  [
    400,
    'Transfer-Encoding and Content-Length',
    post(`${chunked}Content-Length: 4\r\n`, `0\r\n\r\n${hidden}`),
  ],
  [400, 'two lengths', post('Content-Length: 0\r\nContent-Length: 40\r\n', hidden)],
  [400, 'a list of lengths', post('Content-Length: 0, 40\r\n', hidden)],
  [400, 'a signed length', post('Content-Length: +4\r\n', 'abcd')],
  [400, 'a length in hexadecimal', post('Content-Length: 0x4\r\n', 'abcd')],
  [400, 'a space before the colon', post('Content-Length : 4\r\n', 'abcd')],
  [400, 'a space before the name', post(' Content-Length: 4\r\n', 'abcd')],
  [400, 'a folded line', get('X: a\r\n b\r\n')],
  [400, 'a folded Transfer-Encoding', post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${hidden}`)],
  [400, 'bare LF', 'GET / HTTP/1.1\nHost: a\n\n'],
  [400, 'one bare LF', get('X: a\nY: b\r\n')],
  [400, 'a bare CR', get('X: a\rY: b\r\n')],
  [400, 'NUL', get('X: a\0b\r\n')],
  [400, 'chunked, identity', post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${hidden}`)],
  [501, 'gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
  [501, 'another coding', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${hidden}`)],
  [400, 'chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${chunked}\r\n0\r\n\r\n${hidden}`],
  [505, 'HTTP/2.0', get('', 'GET / HTTP/2.0')],
  [400, 'HTTP/1.2', get('', 'GET / HTTP/1.2')],
  [505, 'HTTP/0.9', 'GET /\r\n\r\n'],
  [400, 'no host', 'GET / HTTP/1.1\r\n\r\n'],
  [400, 'two hosts', get('Host: b\r\n')],
  [400, 'a target with a space', get('', 'GET /a b HTTP/1.1')],
  [400, 'bytes beyond ASCII in the target', get('', 'GET /\u00e9 HTTP/1.1')],
  [405, 'CONNECT', get('', 'CONNECT a:80 HTTP/1.1')],
  [405, 'TRACE', get('', 'TRACE / HTTP/1.1')],
  [
    400,
    'an upgrade with a body',
    post('Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n', hidden),
  ],
  [431, 'a head that is too large', get(`X: ${'a'.repeat(10_000)}\r\n`)],
  [431, 'too many fields', get('X: a\r\n'.repeat(120))],
  [413, 'a body that is too large', post('Content-Length: 100001\r\nConnection: close\r\n')],
])('%i: %s', async (status, _what, bytes) => {
  const before = reached.length;
  const text = await askRaw(proxy.port, bytes, 300);
  expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} .*\r\nContent-Type: text/plain`));
  expect(text.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
  expect(reached.slice(before)).toEqual([]);
});

/** The node has seen the head of these by the time that the rest turns out to be wrong. */
test.each<[status: number, what: string, body: string]>([
  [400, 'a signed chunk', `-1\r\nx\r\n0\r\n\r\n${hidden}`],
  [400, 'a chunk in 0x', `0x1\r\nx\r\n0\r\n\r\n${hidden}`],
  [400, 'a chunk beyond 64 bits', `10000000000000000\r\nx\r\n0\r\n\r\n${hidden}`],
  [400, 'a chunk longer than it says', `1\r\nxy\r\n0\r\n\r\n${hidden}`],
  [400, 'bare LF between chunks', `1\nx\n0\n\n${hidden}`],
  [400, 'bare LF in an extension', `1;a\nx\r\n0\r\n\r\n${hidden}`],
  [413, 'an extension without end', `1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`],
  [413, 'chunks that are too much', `${'fff0\r\n'.padEnd(0xfff0 + 6, 'x')}\r\n`.repeat(3)],
])('%i: %s', async (status, _what, body) => {
  const before = reached.length;
  const text = await askRaw(proxy.port, post(`${chunked}`, body), 500);
  expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(text.match(/^HTTP\/1\.1 \d/gm)).toHaveLength(1);
  expect(reached.slice(before)).not.toContain('GET /hidden');
});

test('an upgrade to anything but WebSocket is passed over, and the request answered (RFC 9110, 7.8)', async () => {
  const before = reached.length;
  const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
  const last = get('Connection: close\r\n', 'GET /second HTTP/1.1');
  const text = await askRaw(proxy.port, `${post(`${h2c}Content-Length: 2\r\n`, 'ab')}${last}`);
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(text).not.toMatch(/upgrade/i);
  expect(reached.slice(before)).toEqual(['POST /first', 'GET /second']);
});

test('a reason phrase beyond ASCII is no reason to refuse the answer', async () => {
  expect(await ask(`http://127.0.0.1:${proxy.port}/phrase`)).toMatchObject({ status: 200, body: 'ok' });
});

test('1,500 requests at once on one connection take one place at the node, and are answered in order', async () => {
  const requests = Array.from({ length: 1_500 }, (_, i) => get('', `GET /turn/${i} HTTP/1.1`));
  requests.push(get('Connection: close\r\n', 'GET /turn/last HTTP/1.1'));
  inTurn.most = 0;
  const text = await askRaw(proxy.port, requests.join(''), 20_000);
  expect(text.match(/^turn .*$/gm)).toEqual([...Array(1_500).keys(), 'last'].map((i) => `turn ${i}`));
  expect(inTurn.most).toBe(1);
});

test('requests behind one another are each answered, and each reach the node once', async () => {
  const before = reached.length;
  const body = get('', 'GET /inner HTTP/1.1');
  const first = post(`Content-Length: ${body.length}\r\n`, body);
  const text = await askRaw(proxy.port, `${first}${get('Connection: close\r\n', 'GET /second HTTP/1.1')}`);
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(reached.slice(before).sort()).toEqual(['GET /second', 'POST /first']);
});

/** How long the socket lives when it sends `bytes` at first and then one byte at a time. */
async function trickle(bytes: string, every: string): Promise<{ text: string; ms: number }> {
  const startedMs = performance.now();
  const socket: Socket = connect(proxy.port, '127.0.0.1').setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  const timer = setInterval(() => socket.write(every), 100);
  await once(socket, 'close');
  clearInterval(timer);
  return { text, ms: performance.now() - startedMs };
}

test('slow heads, slow bodies, silent connections and clients that do not read are ended in time', async () => {
  const [head, body, silent, unread] = await Promise.all([
    trickle('GET / HTTP/1.1\r\nHost: a\r\nX: ', 'a'),
    trickle(post('Content-Length: 1000\r\n'), 'a'),
    trickle('', ''),
    endless(),
  ]);
  expect(head.text).toMatch(/^HTTP\/1.1 408 /);
  expect(body.text).toMatch(/^HTTP\/1.1 408 /);
  expect(silent.text).toMatch(/^(HTTP\/1.1 408 |$)/);
  expect(Math.max(head.ms, silent.ms)).toBeLessThan(patience(4_000));
  expect(body.ms).toBeLessThan(patience(5_000));
  expect(unread).toBeLessThan(patience(5_000));
  await until(
    async () => (await proxy.api<{ connections: number }>('nodes/a')).connections === 0,
    'all to end',
  );
});

/** Asks for an endless answer and reads none of it; when the proxy resets, the kernel says so. */
async function endless(): Promise<number> {
  const startedMs = performance.now();
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(get('', 'GET /endless HTTP/1.1'));
  socket.pause();
  await until(async () => {
    const { connections } = await proxy.api<{ connections: number }>('nodes/a');
    return reached.includes('GET /endless') && connections === 0;
  }, 'the endless answer to end');
  socket.destroy();
  return performance.now() - startedMs;
}

test('a connection beyond the listener’s limit is reset before its request is read', async () => {
  const [, port = 0] = proxy.ports;
  const before = reached.length;
  const first = connect(port, '127.0.0.1').setEncoding('latin1');
  first.write(get());
  await once(first, 'data');
  expect(await askRaw(port, get())).toBe('');
  expect(reached.length - before).toBe(1);
  first.destroy();
  await until(async () => (await askRaw(port, get('Connection: close\r\n'))) !== '', 'room for another');
});

test('after all of that it serves', async () => {
  expect(await ask(`http://127.0.0.1:${proxy.port}/`)).toMatchObject({ status: 200, body: 'ok' });
  expect(proxy.logs().filter(({ level }) => level === 'error')).toEqual([]);
});
