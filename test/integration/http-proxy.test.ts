import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { freePort } from '../support/free-port.ts';
import { ask, askRaw, startHttpNode } from '../support/http.ts';
import { until } from '../support/wait.ts';

/** HTTP listeners, with servers of this process as nodes. */

/** What a node tells of a request that reached it. */
interface Told {
  readonly node: string;
  readonly method: string;
  readonly url: string;
  readonly fields: readonly string[];
  readonly body: string;
}

let proxy: Breakwater;
const urls = { insert: '', rewrite: '', dying: '', slow: '', mute: '' };
/** Requests that reached any node. */
let reached = 0;

async function answer(node: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  reached++;
  const { method = '', url = '', rawHeaders: fields } = request;
  if (url.startsWith('/close')) return void request.socket.destroy();
  if (url.startsWith('/hang')) return;
  if (url.startsWith('/half')) {
    response.writeHead(200, { 'content-length': '100' }).write('half');
    return void setTimeout(() => request.socket.destroy(), 20);
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  if (url.startsWith('/login')) response.setHeader('Set-Cookie', ['SID=s1; Path=/app; HttpOnly', 'other=1']);
  response.setHeader('X-Hop', '1').setHeader('Connection', 'keep-alive, X-Hop');
  const told: Told = { node, method, url, fields, body };
  const text = JSON.stringify(told);
  response.setHeader('Content-Length', Buffer.byteLength(text)).end(text);
}

async function node(id: string) {
  const { url, server } = await startHttpNode((request, response) => void answer(id, request, response));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    reached++;
    if (request.url !== '/mqtt') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    sockets.handleUpgrade(request, socket, head, (open) => {
      open.on('message', (text) => open.send(`${id} ${text}`));
      open.on('close', () => {});
    });
  });
  return { id, url, server };
}

beforeAll(async () => {
  const nodes = await Promise.all(['a', 'b', 'c'].map(node));
  const pooled = (prefix: string) => nodes.map(({ id, url }) => ({ id: `${prefix}-${id}`, url }));
  const dead = { id: 'dead', url: `http://127.0.0.1:${await freePort()}` };
  const health = { interval: 60 }; // nothing but traffic says how nodes are
  const http = { answerTimeout: 0.5 };
  const [first] = nodes;
  proxy = await startBreakwater({
    listeners: ['insert', 'rewrite', 'dying', 'slow', 'mute'].map((pool) => ({
      url: 'http://127.0.0.1:0',
      pool,
    })),
    pools: {
      insert: { strategy: 'round-robin', persistence: { by: 'cookie', name: 'lb' }, nodes: pooled('i') },
      rewrite: {
        ...{ strategy: 'round-robin', nodes: pooled('r') },
        persistence: { by: 'cookie', mode: 'rewrite', name: 'SID' },
      },
      dying: { strategy: 'round-robin', health, nodes: [dead, { id: 'alive', url: first?.url }] },
      slow: { upstream: { http }, nodes: [{ id: 'slow', url: first?.url }] },
      mute: { nodes: [] },
    },
    rules: [
      { when: { path: '^/secret(/|$)' }, reject: 'not-authorized' },
      { when: { host: '^empty\\.example$' }, pool: 'mute' },
    ],
    limits: { connectTimeout: 1, http: { maxBodySize: 200_000, requestTimeout: 2 } },
    log: { level: 'debug' },
  });
  for (const [i, name] of (Object.keys(urls) as (keyof typeof urls)[]).entries())
    urls[name] = `http://127.0.0.1:${proxy.ports[i]}`;
});

async function told(url: string, asked?: Parameters<typeof ask>[1]) {
  const { status, headers, body } = await ask(url, asked);
  expect(status, body).toBe(200);
  return { headers, ...(JSON.parse(body) as Told) };
}

const value = (fields: readonly string[], name: string): string | undefined =>
  fields[fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === name) + 1];
const cookieOf = (headers: IncomingMessage['headers'], name: string): string | undefined =>
  headers['set-cookie']?.find((cookie) => cookie.startsWith(`${name}=`))?.split(';')[0];

test('a request reaches a node with its body, and who asked', async () => {
  const body = 'x'.repeat(100_000);
  const headers = { 'X-Forwarded-For': '10.9.9.9', Forwarded: 'for=10.9.9.9', 'X-Real-IP': '10.9.9.9' };
  const hop = { Connection: 'close, X-Hop', 'X-Hop': '1', TE: 'trailers', 'X-Kept': 'Ä'.normalize('NFC') };
  const got = await told(`${urls.insert}/path?query=1`, {
    method: 'PUT',
    headers: { ...headers, ...hop },
    body,
  });
  expect(got).toMatchObject({ method: 'PUT', url: '/path?query=1', body });
  const host = new URL(urls.insert).host;
  const of = (name: string) => value(got.fields, name);
  expect([of('host'), of('x-forwarded-for'), of('x-forwarded-proto'), of('x-forwarded-host')]).toEqual([
    ...[host, '127.0.0.1', 'http', host],
  ]);
  expect(of('forwarded')).toBe(`for=127.0.0.1;proto=http;host="${host}"`);
  expect(of('content-length')).toBe('100000');
  const names = got.fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  expect(names).toContain('x-kept');
  for (const gone of ['x-hop', 'te', 'x-real-ip', 'cookie']) expect(names).not.toContain(gone);
  expect(got.headers).not.toHaveProperty('x-hop');
});

test('a chunked body stays chunked, and HEAD has none', async () => {
  const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
  const text = await askRaw(
    Number(new URL(urls.insert).port),
    `${chunked}3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
  );
  expect(text).toContain('"body":"abcde"');
  expect(text.toLowerCase()).toContain('"transfer-encoding","chunked"');
  const { status, body, headers } = await ask(urls.insert, { method: 'HEAD' });
  expect([status, body]).toEqual([200, '']);
  expect(Number(headers['content-length'])).toBeGreaterThan(0);
});

test('a client that waits for 100 Continue may send when a node takes the body', async () => {
  const { port } = new URL(urls.insert);
  const head =
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';
  const socket = connect(Number(port), '127.0.0.1').setEncoding('latin1');
  socket.write(head);
  expect((await once(socket, 'data'))[0]).toMatch(/^HTTP\/1.1 100 Continue/);
  socket.write('ok');
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(text).toContain('"body":"ok"');
});

test('insert: a device stays at the node that its cookie names, and nodes do not see the cookie', async () => {
  const first = await told(urls.insert);
  const cookie = cookieOf(first.headers, 'lb') ?? '';
  expect(first.headers['set-cookie']).toEqual([`${cookie}; Path=/; HttpOnly; SameSite=Lax`]);
  expect(cookie).not.toContain('i-');
  for (let i = 0; i < 6; i++) {
    const again = await told(urls.insert, { headers: { Cookie: `x=1; ${cookie}` } });
    expect([again.node, again.headers['set-cookie']]).toEqual([first.node, undefined]);
    expect(value(again.fields, 'cookie')).toBe('x=1');
  }
  const forged = await told(urls.insert, { headers: { Cookie: `${cookie.slice(0, -2)}AA` } });
  expect(cookieOf(forged.headers, 'lb')).toMatch(/^lb=/);
});

test('insert: a device whose node drains is placed anew and gets a new cookie', async () => {
  const first = await told(urls.insert);
  const cookie = cookieOf(first.headers, 'lb') ?? '';
  await proxy.api(`nodes/i-${first.node}`, { method: 'PATCH', body: { state: 'draining' } });
  const moved = await until(async () => {
    const next = await told(urls.insert, { headers: { Cookie: cookie } });
    return next.node !== first.node && next;
  }, 'another node');
  const anew = cookieOf(moved.headers, 'lb') ?? '';
  expect(anew).not.toBe(cookie);
  await proxy.api(`nodes/i-${first.node}`, { method: 'PATCH', body: { state: 'enabled' } });
  for (let i = 0; i < 4; i++) {
    expect((await told(urls.insert, { headers: { Cookie: anew } })).node).toBe(moved.node);
  }
});

test('rewrite: the nodes’ cookie carries their mark out, and comes back without it', async () => {
  const first = await told(`${urls.rewrite}/login`);
  const [sid, other] = first.headers['set-cookie'] ?? [];
  expect(sid).toMatch(/^SID=[A-Za-z0-9_-]+~s1; Path=\/app; HttpOnly$/);
  expect(other).toBe('other=1');
  const cookie = sid?.split(';')[0] ?? '';
  for (let i = 0; i < 6; i++) {
    const again = await told(`${urls.rewrite}/x`, { headers: { Cookie: cookie } });
    expect([again.node, again.headers['set-cookie']]).toEqual([first.node, undefined]);
    expect(value(again.fields, 'cookie')).toBe('SID=s1');
  }
});

test('a node that cannot be reached is passed over, with a body too', async () => {
  await until(async () => {
    expect((await told(urls.dying, { method: 'POST', body: 'a body' })).body).toBe('a body');
    return (await proxy.api<{ health: string }>('nodes/dead')).health === 'unhealthy';
  }, 'the node to be taken for dead');
});

test('502, 503 and 504 with a plain body', async () => {
  const closed = await ask(`${urls.slow}/close`);
  expect([closed.status, closed.body]).toEqual([502, '502 Bad Gateway: the node closed without an answer\n']);
  expect(closed.headers['content-type']).toBe('text/plain; charset=utf-8');
  const none = await ask(urls.mute);
  expect([none.status, none.body]).toEqual([503, '503 Service Unavailable: no node takes requests now\n']);
  const late = await ask(`${urls.slow}/hang`);
  expect([late.status, late.body]).toEqual([504, '504 Gateway Timeout: the node did not answer in time\n']);
});

test('only what may be repeated and has no body is tried again', async () => {
  const before = reached;
  expect((await ask(`${urls.slow}/close`)).status).toBe(502);
  expect(reached - before).toBe(2);
  expect((await ask(`${urls.slow}/close`, { method: 'POST' })).status).toBe(502);
  expect((await ask(`${urls.slow}/close`, { method: 'PUT', body: 'x' })).status).toBe(502);
  expect(reached - before).toBe(4);
});

test('an answer that breaks off is not passed off as whole', async () => {
  await expect(ask(`${urls.slow}/half`)).rejects.toThrow('aborted');
});

test('rules choose and refuse by host and path', async () => {
  expect((await ask(`${urls.insert}/x/../secret/plans`)).status).toBe(403);
  expect((await askRaw(proxy.port, 'GET /%73ecret HTTP/1.0\r\n\r\n')).slice(0, 12)).toBe('HTTP/1.1 403');
  expect((await ask(urls.insert, { headers: { Host: 'EMPTY.example:80' } })).status).toBe(503);
});

test('a WebSocket goes through, with the cookie on the 101 answer', async () => {
  const open = async (headers = {}) => {
    const socket = new WebSocket(`${urls.insert.replace('http', 'ws')}/mqtt`, { headers });
    const [upgrade] = (await once(socket, 'upgrade')) as [IncomingMessage];
    if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
    socket.send('hello');
    const [text] = await once(socket, 'message');
    return { socket, upgrade, text: String(text) };
  };
  const first = await open();
  const cookie = cookieOf(first.upgrade.headers, 'lb') ?? '';
  expect(cookie).toMatch(/^lb=/);
  const again = await open({ Cookie: cookie });
  expect(again.text).toBe(first.text);
  expect(again.upgrade.headers).not.toHaveProperty('set-cookie');
  const node = `i-${first.text.split(' ')[0]}`;
  expect(await proxy.api(`nodes/${node}`)).toMatchObject({ connections: 2 });
  for (const { socket } of [first, again]) {
    socket.close();
    await once(socket, 'close');
  }
  await until(async () => {
    const { connections } = await proxy.api<{ connections: number }>(`nodes/${node}`);
    return connections === 0;
  }, 'the node to be without connections');
});

test('a node’s refusal of a WebSocket is the client’s answer', async () => {
  const socket = new WebSocket(`${urls.insert.replace('http', 'ws')}/other`);
  const [, refusal] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(refusal.statusCode).toBe(403);
  socket.on('error', () => {}).terminate();
});

test('bytes are counted while the connection that carries them is open', async () => {
  const carried = async () => {
    const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    const counts = /^breakwater_bytes_total\{listener="",node="",direction="from_device"\} (\d+)$/m.exec(
      text,
    );
    return Number(counts?.[1]);
  };
  const socket = new WebSocket(`${urls.insert.replace('http', 'ws')}/mqtt`);
  await once(socket, 'open');
  const before = await carried();
  socket.send('x'.repeat(100_000));
  await until(async () => (await carried()) >= before + 100_000, 'the bytes to be counted');
  expect(socket.readyState).toBe(WebSocket.OPEN);
  socket.terminate();
});

test('counts and log', async () => {
  const { port } = new URL(urls.insert);
  const counted = (code: number, count: string) =>
    new RegExp(`_http_requests_total\\{listener="http://127.0.0.1:${port}",code="${code}"\\} ${count}\n`);
  await until(async () => {
    const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    return [counted(101, '3'), counted(403, '3'), counted(200, '\\d+')].every((each) => each.test(text));
  }, 'the counts');
  const line = proxy.logs().find(({ msg, path }) => msg === 'request answered' && path === '/path');
  expect(line).toMatchObject({ level: 'debug', method: 'PUT', status: 200, remoteAddress: '127.0.0.1' });
  expect(JSON.stringify(proxy.logs())).not.toContain('query=1');
});

test('when the proxy is drained clients leave: at their next answer, when they are idle, and WebSockets', async () => {
  const port = Number(new URL(urls.insert).port);
  const open = async (first: string) => {
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    const client = { socket, text: '', isClosed: false, ask: (path: string) => socket.write(get(path)) };
    socket.on('data', (text: string) => {
      client.text += text;
    });
    socket.on('close', () => {
      client.isClosed = true;
    });
    client.ask(first);
    await until(() => client.text.includes('"url"') || first === '/hang', 'the first answer');
    return client;
  };
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const [idle, busy, late] = [await open('/'), await open('/'), await open('/hang')];
  const websocket = new WebSocket(`${urls.insert.replace('http', 'ws')}/mqtt`);
  await once(websocket, 'open');
  const ended = once(websocket, 'close');
  const requests = setInterval(() => busy.isClosed || busy.ask('/'), 50);
  const { id } = (await proxy.api<{ proxy: { id: string } }>('status')).proxy;
  await proxy.api(`proxies/${id}/drain`, { method: 'POST', body: { rate: 100, delay: 0 } });
  await ended;
  await until(() => idle.isClosed && busy.isClosed, 'the clients to leave');
  clearInterval(requests);
  expect([idle.text, busy.text].map((text) => /connection: close/i.test(text))).toEqual([false, true]);
  expect(late.isClosed).toBe(false); // it has not got its answer
  late.socket.destroy();
});
