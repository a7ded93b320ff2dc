import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import type { Admin, AdminOptions } from '../../src/admin/admin.ts';
import type { BreakwaterEvent } from '../../src/admin/backend.ts';
import { startAdmin } from '../support/admin.ts';
import {
  adminToken,
  createMemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';

const started: Admin[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((admin) => admin.close()));
});

async function start(options: Partial<AdminOptions> = {}) {
  const backend = createMemoryBackend(
    [memoryNode('a'), memoryNode('b', { weight: 20 })],
    [memoryClient('meter-1')],
  );
  const url = 'http://127.0.0.1:0';
  const admin = await startAdmin({ url, tokens: () => [], backend, log: silentLog, ...options });
  started.push(admin);
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(admin.url + path, {
      method,
      headers: { ...json, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: parse(text),
    };
  };
  return { admin, backend, call };
}

function parse(text: string) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends a request as only a browser under attack would: fetch does not let Host be set. */
async function statusWith(
  url: string,
  path: string,
  headers: Record<string, string>,
): Promise<number | undefined> {
  const request = httpRequest(url + path, { headers }).end();
  const [response] = await once(request, 'response');
  response.resume();
  return response.statusCode;
}

// ── Resources ──────────────────────────────────────────────────────────────────────────────────────────────────

test('nodes: list, inspect, add, change, drain, remove', async () => {
  const { call, backend } = await start();
  expect((await call('GET', '/api/v1/nodes')).body).toEqual([
    memoryNode('a'),
    memoryNode('b', { weight: 20 }),
  ]);
  expect((await call('GET', '/api/v1/nodes/a')).body).toMatchObject({ id: 'a', address: '127.0.0.1:1883' });
  const added = await call('POST', '/api/v1/nodes', { url: 'mqtt://c:1883', id: 'c', weight: 30 });
  expect(added).toMatchObject({ status: 201, body: { id: 'c', weight: 30, source: 'api' } });
  expect((await call('PATCH', '/api/v1/nodes/c', { weight: 5, state: 'disabled' })).body).toMatchObject({
    weight: 5,
    state: 'disabled',
  });
  expect(await call('POST', '/api/v1/nodes/a/drain')).toMatchObject({
    status: 200,
    body: { state: 'draining' },
  });
  expect((await call('GET', '/api/v1/nodes/a/drain')).body).toMatchObject({ node: 'a', state: 'done' });
  expect((await call('GET', '/api/v1/nodes/b/drain')).body).toMatchObject({ node: 'b', state: 'off' });
  expect(await call('POST', '/api/v1/nodes/b/drain', { rate: 50 })).toMatchObject({ status: 200 });
  expect(await call('DELETE', '/api/v1/nodes/c')).toMatchObject({ status: 204, text: '' });
  expect([...backend.nodeTable.keys()]).toEqual(['a', 'b']);
});

test.each([
  ['GET', '/api/v1/nodes/x', undefined, 404, 'NODE_UNKNOWN'],
  ['PATCH', '/api/v1/nodes/x', { weight: 5 }, 404, 'NODE_UNKNOWN'],
  ['DELETE', '/api/v1/nodes/x', undefined, 404, 'NODE_UNKNOWN'],
  ['POST', '/api/v1/nodes/x/drain', undefined, 404, 'NODE_UNKNOWN'],
  ['POST', '/api/v1/nodes', { url: 'mqtt://a:1883', id: 'a' }, 409, 'NODE_EXISTS'],
  ['GET', '/api/v1/clients/x', undefined, 404, 'CLIENT_UNKNOWN'],
  ['DELETE', '/api/v1/clients/x', undefined, 404, 'CLIENT_UNKNOWN'],
  ['POST', '/api/v1/clients/x/move', { node: 'a' }, 404, 'CLIENT_UNKNOWN'],
  ['POST', '/api/v1/clients/meter-1/move', { node: 'x' }, 404, 'NODE_UNKNOWN'],
  ['GET', '/api/v1/nodes/x/drain', undefined, 404, 'NODE_UNKNOWN'],
  ['DELETE', '/api/v1/bans/x', undefined, 404, 'BAN_UNKNOWN'],
  ['GET', '/api/v1/nothing', undefined, 404, 'NOT_FOUND'],
  ['PUT', '/api/v1/nodes', {}, 404, 'NOT_FOUND'],
])('%s %s %o answers %i %s', async (method, path, body, status, code) => {
  const { call } = await start();
  const answer = await call(method, path, body);
  expect(answer).toMatchObject({ status, body: { code, message: expect.any(String), retryable: false } });
});

test.each([
  { clientId: 'meter/17 é' },
  { username: 'u' },
  { clientCn: 'cn' },
  { source: '2001:db8::/32' },
])('bans: add %o, list, remove', async (criterion) => {
  const { call } = await start();
  const request = { ...criterion, expires: 60, reason: 'noise', kick: true };
  const { status, body } = await call('POST', '/api/v1/bans', request);
  const { expires: _, ...asked } = request;
  expect([status, body]).toEqual([
    201,
    { ...asked, id: expect.any(String), createdAt: expect.any(String), expiresAt: expect.any(String) },
  ]);
  expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(60_000);
  expect((await call('GET', '/api/v1/bans')).body).toEqual([body]);
  const removed = await call('DELETE', `/api/v1/bans/${encodeURIComponent(body.id)}`);
  expect(removed).toMatchObject({ status: 204, text: '' });
  expect((await call('GET', '/api/v1/bans')).body).toEqual([]);
});

test('sessions: move one, rebalance all', async () => {
  const { call } = await start();
  const moved = await call('POST', '/api/v1/clients/meter-1/move', { node: 'b' });
  expect(moved).toMatchObject({ status: 200, body: { clientId: 'meter-1', node: 'b' } });
  expect((await call('GET', '/api/v1/rebalance')).body).toMatchObject({ state: 'off' });
  const { body } = await call('POST', '/api/v1/rebalance', { rate: 7, tolerance: 0.2 });
  expect(body).toMatchObject({ rate: 7, tolerance: 0.2, pools: ['default'] });
  expect((await call('POST', '/api/v1/rebalance')).body).toMatchObject({ rate: 100, tolerance: 0.1 });
});

test.each([
  ['POST', '/api/v1/nodes/a/drain', { rate: 0 }, 'rate'],
  ['POST', '/api/v1/rebalance', { tolerance: -1 }, 'tolerance'],
  ['POST', '/api/v1/clients/meter-1/move', {}, 'node'],
  ['POST', '/api/v1/nodes', {}, 'url'],
  ['POST', '/api/v1/nodes', { url: 'mqtt://c', weight: 101 }, 'weight'],
  ['POST', '/api/v1/nodes', { url: 'mqtt://c', weight: '5' }, 'weight'],
  ['POST', '/api/v1/nodes', { url: 'mqtt://c', id: 'no spaces' }, 'id'],
  ['POST', '/api/v1/nodes', { url: 'mqtt://c', wieght: 5 }, 'wieght'],
  ['POST', '/api/v1/nodes', undefined, 'body'],
  ['PATCH', '/api/v1/nodes/a', {}, 'body'],
  ['PATCH', '/api/v1/nodes/a', { state: 'off' }, 'state'],
  ['POST', '/api/v1/bans', {}, 'body'],
  ['POST', '/api/v1/bans', { clientId: 'a', username: 'b' }, 'body'],
  ['POST', '/api/v1/bans', { clientId: '' }, 'clientId'],
  ['POST', '/api/v1/bans', { source: '10.0.0.0/33' }, 'source'],
  ['POST', '/api/v1/bans', { clientId: 'a', expires: 0 }, 'expires'],
  ['POST', '/api/v1/bans', { clientId: 'a', expires: 315_360_001 }, 'expires'],
  ['POST', '/api/v1/bans', { clientId: 'a', reason: 'x'.repeat(257) }, 'reason'],
  ['GET', '/api/v1/nodes/a%20b', undefined, 'id'],
  ['GET', '/api/v1/clients?limit=0', undefined, 'limit'],
  ['GET', '/api/v1/clients?limit=10001', undefined, 'limit'],
  ['GET', '/api/v1/clients?limit=many', undefined, 'limit'],
  ['GET', '/api/v1/clients?limt=5', undefined, 'limt'],
])('%s %s %o is invalid at "%s"', async (method, path, body, field) => {
  const { call } = await start();
  const answer = await call(method, path, body);
  expect(answer).toMatchObject({ status: 400, body: { code: 'REQUEST_INVALID', fields: [{ field }] } });
  expect(answer.body.message).toContain(`${field}: `);
});

test.each([
  ['{"url":', 'application/json', 400],
  ['url=mqtt://c', 'application/x-www-form-urlencoded', 415],
  [JSON.stringify({ url: 'm'.repeat(20_000) }), 'application/json', 413],
])('a body that cannot be read is REQUEST_INVALID too', async (body, type, status) => {
  const { call } = await start();
  const answer = await call('POST', '/api/v1/nodes', body, { 'content-type': type });
  expect(answer).toMatchObject({ status, body: { code: 'REQUEST_INVALID' } });
});

test('all wrong fields are told at once', async () => {
  const { call } = await start();
  const { body } = await call('POST', '/api/v1/nodes', { url: 5, weight: 0 });
  expect(body.fields.map(({ field }: { field: string }) => field)).toEqual(['url', 'weight']);
});

test('an unforeseen error is INTERNAL: the log has it, the caller does not', async () => {
  const error = vi.fn();
  const { call, backend } = await start({ log: { ...silentLog, error } });
  backend.kickClient = async () => {
    throw new Error('secret detail');
  };
  const { status, body, text } = await call('DELETE', '/api/v1/clients/meter-1');
  expect({ status, code: body.code }).toEqual({ status: 500, code: 'INTERNAL' });
  expect(text).not.toContain('secret');
  expect(error.mock.calls[0]?.[0]).toMatchObject({ err: { message: 'secret detail' }, method: 'DELETE' });
});

test('clients: list with node, match and limit', async () => {
  const clients = ['m-1', 'm-2', 'x-1'].map((id) => memoryClient(id, { node: id === 'm-2' ? 'b' : 'a' }));
  const { call } = await start({ backend: createMemoryBackend([], clients) });
  const ids = async (query: string) => {
    const { body } = await call('GET', `/api/v1/clients${query}`);
    return [body.clients.map(({ clientId }: { clientId: string }) => clientId), body.total];
  };
  expect(await ids('')).toEqual([['m-1', 'm-2', 'x-1'], 3]);
  expect(await ids('?match=m-&limit=1')).toEqual([['m-1'], 2]);
  expect(await ids('?node=b')).toEqual([['m-2'], 1]);
});

test.each([
  'a/b',
  '50%',
  '%2F',
  'ü #?&=+',
  'a b',
  '<img src=x onerror=alert(1)>',
  '日本\u0001',
  'x'.repeat(65_535),
])('clients: any client id can be asked for and kicked (%#)', async (clientId) => {
  const { call } = await start({ backend: createMemoryBackend([], [memoryClient(clientId)]) });
  const path = `/api/v1/clients/${encodeURIComponent(clientId)}`;
  expect((await call('GET', path)).body).toMatchObject({ clientId });
  expect((await call('DELETE', path)).status).toBe(204);
  expect((await call('GET', path)).status).toBe(404);
});

test('pools, proxies and status answer what the backend says', async () => {
  const { call, backend } = await start();
  expect((await call('GET', '/api/v1/pools')).body).toEqual(backend.pools());
  expect((await call('GET', '/api/v1/proxies')).body).toMatchObject([{ id: 'edge-1', engine: 'node' }]);
  expect((await call('GET', '/api/v1/status')).body).toMatchObject({
    cluster: 'default',
    nodes: { total: 2 },
  });
});

test('livez, readyz with its reason, metrics', async () => {
  const { call, backend } = await start();
  expect(await call('GET', '/livez')).toMatchObject({ status: 200, text: 'ok\n' });
  expect(await call('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } });
  const metrics = await call('GET', '/metrics');
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(metrics.text).toContain('breakwater_node_up');

  backend.ready = false;
  const reason = async () => (await call('GET', '/readyz')).body.reason;
  expect(await call('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false } });
  expect(await reason()).toBe('no devices are accepted');
  for (const node of backend.nodeTable.values())
    backend.nodeTable.set(node.id, { ...node, state: 'disabled' });
  expect(await reason()).toBe('no node is enabled');
  backend.nodeTable.clear();
  expect(await reason()).toBe('no node is known');
});

// ── OpenAPI ────────────────────────────────────────────────────────────────────────────────────────────────────

test('the OpenAPI document describes every route, and its references resolve', async () => {
  const { call } = await start();
  const { body: document } = await call('GET', '/api/v1/openapi.json');
  expect(document.openapi).toMatch(/^3\./);
  const operations = Object.entries<object>(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`),
  );
  expect(operations.sort()).toEqual(
    [
      'get /api/v1/incidents',
      'get /api/v1/clients/{clientId}/history',
      'get /api/v1/clients/{clientId}/trace',
      'get /api/v1/nodes',
      'post /api/v1/nodes',
      'get /api/v1/nodes/{id}',
      'patch /api/v1/nodes/{id}',
      'delete /api/v1/nodes/{id}',
      'get /api/v1/nodes/{id}/drain',
      'post /api/v1/nodes/{id}/drain',
      'get /api/v1/clients',
      'get /api/v1/clients/{clientId}',
      'delete /api/v1/clients/{clientId}',
      'post /api/v1/clients/{clientId}/move',
      'get /api/v1/bans',
      'post /api/v1/bans',
      'delete /api/v1/bans/{id}',
      'get /api/v1/rebalance',
      'post /api/v1/rebalance',
      'post /api/v1/reload',
      'get /api/v1/check',
      'post /api/v1/upgrade',
      'get /api/v1/pools',
      'get /api/v1/proxies',
      'get /api/v1/proxies/{id}/drain',
      'post /api/v1/proxies/{id}/drain',
      'post /api/v1/proxies/{id}/enable',
      'get /api/v1/proxy-rebalance',
      'post /api/v1/proxy-rebalance',
      'get /api/v1/status',
      'get /api/v1/whoami',
      'get /api/v1/events',
      'get /metrics',
      'get /livez',
      'get /readyz',
    ].sort(),
  );
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(10);
  for (const [, name] of references) expect(document.components.schemas).toHaveProperty([String(name)]);
  const { responses, parameters } = document.paths['/api/v1/nodes/{id}'].patch;
  expect(responses['200'].content['application/json'].schema).toEqual({ $ref: '#/components/schemas/Node' });
  expect(responses.default.content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/Failure',
  });
  expect(parameters).toMatchObject([{ name: 'id', in: 'path', required: true }]);
  expect(document.components.schemas.Node.properties.weight).toMatchObject({
    type: 'integer',
    minimum: 1,
    maximum: 100,
  });
});

// ── Access ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('with a token, everything but livez, readyz and the page needs it', async () => {
  const { call } = await start({ tokens: () => [adminToken('T0KEN')] });
  const protectedPaths = [
    '/api/v1/nodes',
    '/api/v1/openapi.json',
    '/api/v1/events',
    '/metrics',
    '/api/v1/nothing',
  ];
  for (const path of protectedPaths) {
    expect(await call('GET', path)).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
  }
  for (const wrong of ['Bearer T0KEN2', 'Bearer', 'Bearer T0KE', 'T0KEN', 'Basic T0KEN']) {
    expect((await call('GET', '/api/v1/nodes', undefined, { authorization: wrong })).status).toBe(401);
  }
  expect((await call('POST', '/api/v1/nodes/a/drain')).status).toBe(401);
  for (const path of ['/', '/livez', '/readyz']) expect((await call('GET', path)).status).toBe(200);
  expect((await call('GET', '/api/v1/nodes', undefined, { authorization: 'Bearer T0KEN' })).status).toBe(200);
});

test('no answer has a place for a secret, a private key or a message of a device', async () => {
  const { call } = await start();
  const { body } = await call('GET', '/api/v1/openapi.json');
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, each] of Object.entries(value)) {
      if (name === 'properties') for (const property of Object.keys(each as object)) names.add(property);
      visit(each);
    }
  };
  visit(body);
  expect(names.size).toBeGreaterThan(40);
  expect([...names].filter((name) => /secret|token|password|key$|payload|topic/i.test(name))).toEqual([]);
});

test('without a token only loopback may be bound', async () => {
  await expect(start({ url: 'http://0.0.0.0:0' })).rejects.toMatchObject({
    code: 'ADMIN_TOKEN_REQUIRED',
    message: expect.stringMatching(/0\.0\.0\.0.*set admin\.token/),
  });
  await expect(start({ tokens: () => [adminToken('')] })).rejects.toMatchObject({
    code: 'ADMIN_TOKEN_REQUIRED',
  });
  await expect(start({ url: 'http://[::]:0' })).rejects.toMatchObject({ code: 'ADMIN_TOKEN_REQUIRED' });
  const { call } = await start({ url: 'http://0.0.0.0:0', tokens: () => [adminToken('T')] });
  expect((await call('GET', '/livez')).status).toBe(200);
});

test('without a token a page of another site gets nothing, by name (DNS rebinding) or by origin', async () => {
  const { admin } = await start();
  const status = (headers: Record<string, string>) => statusWith(admin.url, '/api/v1/nodes', headers);
  const { host, port } = new URL(admin.url);
  expect(await status({ host: 'evil.example' })).toBe(403);
  expect(await status({ host: `127.0.0.1.evil.example:${port}` })).toBe(403);
  expect(await status({ host, origin: 'http://evil.example' })).toBe(403);
  expect(await status({ host, origin: 'http://127.0.0.1:1' })).toBe(403);
  expect(await status({ host, origin: 'null' })).toBe(403);
  expect(await status({ host, 'sec-fetch-site': 'cross-site' })).toBe(403);
  expect(await status({ host, origin: `http://${host}` })).toBe(200);
  expect(await status({ host: `localhost:${port}` })).toBe(200);
  expect(await status({ host: `[::1]:${port}` })).toBe(200);
});

test('with a token any name will do: a page of another site does not have it', async () => {
  const { admin } = await start({ tokens: () => [adminToken('T')] });
  expect(
    await statusWith(admin.url, '/api/v1/nodes', { host: 'lb.example', authorization: 'Bearer T' }),
  ).toBe(200);
});

// ── Address ────────────────────────────────────────────────────────────────────────────────────────────────────

test('a taken port names the address and where it is to be changed', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  await expect(start({ url: `http://127.0.0.1:${port}`, place: 'line 2: admin.url' })).rejects.toMatchObject({
    code: 'ADDRESS_IN_USE',
    message: `line 2: admin.url: 127.0.0.1:${port} is in use by another program; stop it, or choose another address`,
  });
  other.close();
});

test.each([
  'https://127.0.0.1:0',
  '127.0.0.1:9883',
  'http://127.0.0.1:0/path',
  'nonsense',
])('%s is refused', async (url) => {
  await expect(start({ url })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('an address of another machine is not available', async () => {
  await expect(start({ url: 'http://192.0.2.1:0', tokens: () => [adminToken('T')] })).rejects.toMatchObject({
    code: 'ADDRESS_NOT_AVAILABLE',
  });
});

// ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────

const placed: BreakwaterEvent = {
  type: 'placed',
  at: '2026-01-01T00:00:00.000Z',
  clientId: 'm-1\n\ndata: forged',
};

async function follow(url: string) {
  const response = await fetch(`${url}/api/v1/events`);
  const reader = (response.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let seen = '';
  const until = async (text: string) => {
    while (!seen.includes(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended before ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
      seen += value;
    }
    return seen;
  };
  return { response, until, ended: () => reader.closed, cancel: () => reader.cancel() };
}

test('events are streamed to every subscriber, one frame each whatever they hold', async () => {
  const { admin, backend } = await start();
  const [one, two] = await Promise.all([follow(admin.url), follow(admin.url)]);
  expect(one.response.headers.get('content-type')).toBe('text/event-stream');
  expect(one.response.headers.get('cache-control')).toBe('no-store');
  backend.emit(placed);
  for (const subscriber of [one, two]) {
    const seen = await subscriber.until('forged"}\n\n');
    expect(seen).toContain(`event: placed\ndata: ${JSON.stringify({ proxy: 'edge-1', ...placed })}\n\n`);
  }
});

test('the backend is subscribed to while somebody listens, and no longer', async () => {
  const { admin, backend } = await start();
  expect(backend.listeners.size).toBe(0);
  const [one, two] = await Promise.all([follow(admin.url), follow(admin.url)]);
  expect(backend.listeners.size).toBe(1);
  await one.cancel();
  await two.cancel();
  await vi.waitFor(() => expect(backend.listeners.size).toBe(0));
});

test('a quiet stream carries heartbeats', async () => {
  const { admin } = await start({ eventLimits: { heartbeatMs: 5 } });
  const { until } = await follow(admin.url);
  expect(await until(': heartbeat\n\n: heartbeat\n\n')).not.toContain('event:');
});

test('one subscriber more than allowed is refused, until one leaves', async () => {
  const { admin, call } = await start({ eventLimits: { maxSubscribers: 1 } });
  const first = await follow(admin.url);
  expect(await call('GET', '/api/v1/events')).toMatchObject({
    status: 429,
    body: { code: 'TOO_MANY_SUBSCRIBERS' },
  });
  await first.cancel();
  await vi.waitFor(async () => expect((await follow(admin.url)).response.status).toBe(200));
});

test('HEAD is not a subscription', async () => {
  const { call, backend } = await start();
  expect((await call('HEAD', '/api/v1/events')).status).toBe(404);
  expect(backend.listeners.size).toBe(0);
});

test('a subscriber that does not read is cut off, told so, and disturbs no other', async () => {
  const { admin, backend } = await start({ eventLimits: { maxBufferedBytes: 64 * 1024 } });
  const slow = connect(Number(new URL(admin.url).port), '127.0.0.1').pause();
  slow.write(`GET /api/v1/events HTTP/1.1\r\nHost: ${new URL(admin.url).host}\r\nConnection: close\r\n\r\n`);
  await vi.waitFor(() => expect(backend.listeners.size).toBe(1));
  // What the kernel takes without a reader is some megabytes; 64 MB is far beyond it.
  for (let i = 0; i < 64 && backend.listeners.size === 1; i++) {
    for (let j = 0; j < 64; j++) backend.emit({ ...placed, filler: 'x'.repeat(16 * 1024) });
    await new Promise(setImmediate);
  }
  expect(backend.listeners.size).toBe(0);
  let tail = '';
  slow.on('data', (chunk) => {
    tail = (tail + chunk).slice(-200);
  });
  slow.resume();
  await once(slow, 'end');
  expect(tail).toContain(': cut off: you read more slowly than events happen');
  const other = await follow(admin.url);
  backend.emit(placed);
  await other.until('event: placed');
});

test('a subscriber that was cut off and still does not read is reset', async () => {
  const { admin, backend } = await start({ eventLimits: { maxBufferedBytes: 1, farewellMs: 1 } });
  const subscriber = await follow(admin.url);
  backend.emit(placed);
  await expect(subscriber.until('never')).rejects.toThrow();
});

test('close ends the streams and returns', async () => {
  const { admin } = await start();
  const subscriber = await follow(admin.url);
  await admin.close();
  await expect(subscriber.until('never')).rejects.toThrow();
  await expect(fetch(`${admin.url}/livez`)).rejects.toThrow();
});
