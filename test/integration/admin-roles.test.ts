import { afterEach, expect, test } from 'vitest';
import type { Admin, AdminOptions } from '../../src/admin/admin.ts';
import { type Role, roles } from '../../src/config/admin.ts';
import { startAdmin } from '../support/admin.ts';
import {
  adminToken,
  createMemoryBackend,
  memoryClient,
  memoryNode,
  silentLog,
} from '../support/memory-backend.ts';

/** What each role may do at the admin API, and what the log says of it. */

const started: Admin[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((admin) => admin.close()));
});

const tokens = roles.map((role) => adminToken(`token of ${role}`, role, `who is ${role}`));

async function start(options: Partial<AdminOptions> = {}) {
  const backend = createMemoryBackend([memoryNode('a'), memoryNode('b')], [memoryClient('meter-1')]);
  const url = 'http://127.0.0.1:0';
  const admin = await startAdmin({ url, tokens: () => tokens, backend, log: silentLog, ...options });
  started.push(admin);
  const call = async (role: Role, method: string, path: string, body?: unknown) => {
    const response = await fetch(admin.url + path, {
      method,
      headers: {
        authorization: `Bearer token of ${role}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const stream = response.headers.get('content-type') === 'text/event-stream';
    if (stream) await response.body?.cancel();
    const text = stream ? '' : await response.text();
    return { status: response.status, text };
  };
  return { backend, admin, call };
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly least: Role | undefined;
}

/** Every request that the API describes; the names in its paths are those of nothing that exists. */
async function operations(call: Awaited<ReturnType<typeof start>>['call']): Promise<Operation[]> {
  const { text } = await call('viewer', 'GET', '/api/v1/openapi.json');
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Record<string, Role>>> };
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{\w+\}/g, 'nothing'),
      least: operation['x-least-role'],
    })),
  );
}

test('every request lets in those who reach its role, and nobody below it', async () => {
  const { call } = await start();
  const all = await operations(call);
  expect(all.length).toBeGreaterThan(20);
  const wrong: string[] = [];
  for (const { method, path, least } of all) {
    for (const role of roles) {
      const { status, text } = await call(role, method, path);
      const isAllowed = least === undefined || roles.indexOf(role) >= roles.indexOf(least);
      const isRefused = status === 403 && text.includes(`"FORBIDDEN"`) && text.includes(`the role ${least}`);
      if (status === 401 || (status === 403) === isAllowed || isRefused === isAllowed)
        wrong.push(`${role}: ${method} ${path} ${status}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('who only looks changes nothing; who works at night adds no node; probes need nobody', async () => {
  const { call } = await start();
  const all = await operations(call);
  const of = (role: Role | undefined) =>
    all.filter(({ least }) => least === role).map(({ method, path }) => `${method} ${path}`);
  expect(of(undefined)).toEqual(['GET /livez', 'GET /readyz']);
  expect(of('viewer').filter((request) => !request.startsWith('GET '))).toEqual([]);
  expect(of('operator')).toEqual(
    expect.arrayContaining([
      'PATCH /api/v1/nodes/nothing',
      'POST /api/v1/nodes/nothing/drain',
      'DELETE /api/v1/clients/nothing',
      'POST /api/v1/clients/nothing/move',
      'POST /api/v1/rebalance',
      'POST /api/v1/bans',
      'DELETE /api/v1/bans/nothing',
    ]),
  );
  expect(of('admin')).toEqual(
    expect.arrayContaining(['POST /api/v1/nodes', 'DELETE /api/v1/nodes/nothing', 'POST /api/v1/reload']),
  );
});

test('every request has a role in the table: none is for admins only because it was forgotten', async () => {
  const { call } = await start();
  const reads = (await operations(call)).filter(({ method, least }) => method === 'GET' && least === 'admin');
  expect(reads).toEqual([]);
});

test('a role is tried before the request is read, and what is refused reaches nobody', async () => {
  const { call, backend } = await start();
  expect(await call('viewer', 'DELETE', '/api/v1/clients/meter-1')).toMatchObject({ status: 403 });
  expect(await call('operator', 'POST', '/api/v1/nodes', { url: 'not even a URL' })).toMatchObject({
    status: 403,
  });
  expect(await call('viewer', 'PATCH', '/api/v1/nodes/a', { weight: 5 })).toMatchObject({ status: 403 });
  expect([backend.clientTable.size, backend.nodeTable.get('a')?.weight]).toEqual([1, 10]);
  expect(await call('operator', 'PATCH', '/api/v1/nodes/a', { weight: 5 })).toMatchObject({ status: 200 });
  expect(await call('operator', 'DELETE', '/api/v1/clients/meter-1')).toMatchObject({ status: 204 });
});

test('whoami says who asks; without tokens whoever is on this machine is an admin', async () => {
  const { call } = await start();
  const whoami = async (role: Role) => JSON.parse((await call(role, 'GET', '/api/v1/whoami')).text);
  for (const role of roles) expect(await whoami(role)).toEqual({ name: `who is ${role}`, role });
  const { admin } = await start({ tokens: () => [] });
  const local = await fetch(`${admin.url}/api/v1/whoami`);
  expect(await local.json()).toEqual({ name: 'local', role: 'admin' });
});

test('a token that is taken away, or whose role changes, counts so at once', async () => {
  let now = tokens;
  const { call } = await start({ tokens: () => now });
  const drain = () => call('operator', 'POST', '/api/v1/nodes/a/drain');
  expect(await drain()).toMatchObject({ status: 200 });
  now = tokens.map((each) => ({ ...each, role: 'viewer' }));
  expect(await drain()).toMatchObject({ status: 403 });
  now = tokens.filter(({ role }) => role !== 'operator');
  expect(await drain()).toMatchObject({ status: 401 });
});

test('a stream of events ends when its token is taken away; that of another goes on', async () => {
  let now = tokens;
  const { admin } = await start({ tokens: () => now, eventLimits: { heartbeatMs: 5 } });
  const follow = async (role: Role) => {
    const headers = { authorization: `Bearer token of ${role}`, accept: 'text/event-stream' };
    const response = await fetch(`${admin.url}/api/v1/events`, { headers });
    return (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  };
  const [viewer, operator] = [await follow('viewer'), await follow('operator')];
  const readUntil = async (reader: typeof viewer, text: string) => {
    let seen = '';
    while (!seen.includes(text)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended before ${text}: ${seen}`);
      seen += value;
    }
  };
  await readUntil(viewer, ': heartbeat');
  now = tokens.filter(({ role }) => role !== 'viewer');
  await readUntil(viewer, ': ended: you may not follow the events any more');
  expect(await viewer.read()).toMatchObject({ done: true });
  await readUntil(operator, ': heartbeat\n\n: heartbeat\n\n: heartbeat');
  await operator.cancel();
});

test('each change is logged with who, from where, what and its result, and never with a token', async () => {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: unknown, message?: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message: message ?? '' });
  const log = { ...silentLog, debug: at('debug'), info: at('info'), warn: at('warn') };
  const { call, admin } = await start({ log });
  await call('admin', 'POST', '/api/v1/nodes', { url: 'mqtt://c:1883', id: 'c', weight: 30 });
  await call('operator', 'DELETE', '/api/v1/clients/nobody');
  await call('operator', 'POST', '/api/v1/reload');
  await call('viewer', 'GET', '/api/v1/nodes');
  await fetch(`${admin.url}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer wr0ng' } });
  const requests = lines.filter(({ message }) => message === 'admin request');
  const remoteAddress = '127.0.0.1';
  expect(requests).toMatchObject([
    {
      level: 'info',
      fields: {
        ...{ by: 'who is admin', role: 'admin', remoteAddress },
        ...{ method: 'POST', path: '/api/v1/nodes', status: 201 },
        change: { url: 'mqtt://c:1883', id: 'c', weight: 30 },
      },
    },
    {
      level: 'info',
      fields: { by: 'who is operator', path: '/api/v1/clients/nobody', status: 404, code: 'CLIENT_UNKNOWN' },
    },
    {
      level: 'info',
      fields: { by: 'who is operator', path: '/api/v1/reload', status: 403, code: 'FORBIDDEN' },
    },
    { level: 'debug', fields: { by: 'who is viewer', method: 'GET', status: 200 } },
    { level: 'debug', fields: { path: '/api/v1/reload', status: 401, code: 'UNAUTHORIZED' } },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/token of|wr0ng/);
});
