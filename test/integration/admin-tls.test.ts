import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Agent, IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as SecureAgent } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Admin, AdminOptions } from '../../src/admin/admin.ts';
import type { TlsOptions } from '../../src/engine/tls.ts';
import { startAdmin } from '../support/admin.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { adminToken, createMemoryBackend, memoryNode, silentLog } from '../support/memory-backend.ts';
import { until } from '../support/wait.ts';

/** TLS on the admin address, and who a certificate lets in. */

const started: Admin[] = [];
const sockets: (Socket | TLSSocket)[] = [];
const agents: Agent[] = [];
let servers: Authority;
let people: Authority;
let server: Issued;
let alice: Issued;

beforeAll(() => {
  servers = createAuthority('servers');
  people = createAuthority('people');
  server = servers.issue({ cn: 'admin', names: 'IP:127.0.0.1' });
  alice = people.issue({ cn: 'alice' });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const agent of agents.splice(0)) agent.destroy();
  await Promise.all(started.splice(0).map((admin) => admin.close()));
});
afterAll(() => {
  expect(started).toEqual([]);
});

const optionsOf = (certificate: Issued, more: Partial<TlsOptions> = {}): TlsOptions => ({
  certificates: [certificate],
  clientAuth: 'none',
  minVersion: 'TLSv1.2',
  ...{ alpn: [], ticketKeys: [], ...more },
});
const asking = (clientAuth: 'request' | 'require' = 'request') =>
  optionsOf(server, { clientAuth, clientCa: people.cert });

async function start(tls: TlsOptions, options: Partial<AdminOptions> = {}) {
  const backend = createMemoryBackend([memoryNode('a')], []);
  const admin = await startAdmin({
    url: 'https://127.0.0.1:0',
    tokens: () => [adminToken('T')],
    clients: () => [{ cn: 'alice', role: 'operator' }],
    ...{ tls, backend, log: silentLog, ...options },
  });
  started.push(admin);
  return { admin, backend };
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly certificate: string | undefined;
  /** Of the connection. */
  readonly port: number | undefined;
}

async function ask(
  url: string,
  path: string,
  {
    agent,
    headers = {},
    method = 'GET',
    ...tls
  }: ConnectionOptions & {
    agent?: Agent;
    headers?: Record<string, string>;
    method?: string;
  } = {},
): Promise<Answer> {
  const options = { ca: servers.cert, agent: agent ?? false, headers, method, ...tls };
  const request = httpsRequest(url + path, options as object).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const certificate = (response.socket as TLSSocket).getPeerX509Certificate()?.serialNumber;
  const port = response.socket.localPort;
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return { status: response.statusCode, body, certificate, port };
}

const serialOf = ({ cert }: Issued) => new X509Certificate(cert).serialNumber;
const withToken = { headers: { authorization: 'Bearer T' } };

test('the admin address speaks TLS with its certificate, and no plain HTTP', async () => {
  const { admin } = await start(optionsOf(server));
  expect(admin.url).toMatch(/^https:/);
  expect(await ask(admin.url, '/api/v1/whoami', withToken)).toMatchObject({ status: 200 });
  expect(await ask(admin.url, '/api/v1/whoami')).toMatchObject({ status: 401 });
  await expect(ask(admin.url, '/livez', { ca: people.cert })).rejects.toThrow(/certificate/);
  const plain = connectPlain(Number(new URL(admin.url).port), '127.0.0.1').on('error', () => {});
  sockets.push(plain);
  let said = '';
  plain.on('data', (chunk) => {
    said += chunk.toString('latin1');
  });
  plain.write('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  await once(plain, 'close');
  expect(said).not.toContain('HTTP/1.1 200');
  expect(await ask(admin.url, '/livez')).toMatchObject({ status: 200 });
});

test('TLS 1.1 and suites without forward secrecy are not spoken', async () => {
  const { admin } = await start(optionsOf(server));
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await expect(ask(admin.url, '/livez', old)).rejects.toThrow();
  const cbc = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const;
  await expect(ask(admin.url, '/livez', cbc)).rejects.toThrow();
  expect(await ask(admin.url, '/livez', { maxVersion: 'TLSv1.2' })).toMatchObject({ status: 200 });
});

test('a certificate says who asks and gives a role; a token that is sent counts before it', async () => {
  const { admin } = await start(asking());
  const whoami = async (tls: object) => JSON.parse((await ask(admin.url, '/api/v1/whoami', tls)).body);
  expect(await whoami(alice)).toEqual({ name: 'alice', role: 'operator' });
  expect(await whoami({ ...alice, ...withToken })).toEqual({ name: 'admin', role: 'admin' });
  const change = (method: string, path: string) => ask(admin.url, path, { ...alice, method });
  expect(await change('POST', '/api/v1/nodes/a/drain')).toMatchObject({ status: 200 });
  expect(await change('DELETE', '/api/v1/nodes/a')).toMatchObject({ status: 403 });
  expect(await ask(admin.url, '/livez')).toMatchObject({ status: 200 });
});

test('a certificate without a role, or of another authority, lets nobody in', async () => {
  const { admin } = await start(asking());
  const said = async (certificate: Issued) => {
    const { status, body } = await ask(admin.url, '/api/v1/nodes', certificate);
    return `${status} ${JSON.parse(body).message}`;
  };
  expect(await said(people.issue({ cn: 'bob' }))).toMatch(/^401 .*"bob" has no role/);
  expect(await said(servers.issue({ cn: 'alice' }))).toMatch(/^401 the certificate is not good/);
  expect(await ask(admin.url, '/api/v1/nodes')).toMatchObject({ status: 401 });
});

test('where a certificate is required, nobody is heard without a good one', async () => {
  const { admin } = await start(asking('require'));
  await expect(ask(admin.url, '/livez')).rejects.toThrow();
  await expect(ask(admin.url, '/livez', servers.issue({ cn: 'alice' }))).rejects.toThrow();
  expect(await ask(admin.url, '/api/v1/nodes', alice)).toMatchObject({ status: 200 });
});

test('with clients alone it may be bound beyond loopback, and a page of another site cannot use a certificate', async () => {
  const none = { tokens: () => [], url: 'https://0.0.0.0:0' };
  const { admin } = await start(asking(), none);
  const url = admin.url.replace('0.0.0.0', '127.0.0.1');
  const status = async (headers: Record<string, string>) =>
    (await ask(url, '/api/v1/nodes', { ...alice, headers })).status;
  expect(await status({})).toBe(200);
  expect(await status({ origin: url })).toBe(200);
  expect(await status({ origin: 'https://evil.example' })).toBe(403);
  expect(await status({ 'sec-fetch-site': 'cross-site' })).toBe(403);
  await expect(start(optionsOf(server), { ...none, clients: () => [] })).rejects.toMatchObject({
    code: 'ADMIN_TOKEN_REQUIRED',
  });
});

test.each([
  'TLSv1.2',
  'TLSv1.3',
] as const)('a session that is resumed is who it was (%s)', async (version) => {
  const { admin } = await start(asking());
  const resumed = await resume(admin.url, version);
  expect(await resumed()).toEqual({ isReused: true, status: '200' });
});

test.each([
  'TLSv1.2',
  'TLSv1.3',
] as const)('new files hold for who connects, and for sessions from before (%s)', async (version) => {
  const { admin } = await start(asking());
  const agent = new SecureAgent({ keepAlive: true, maxSockets: 1 }) as Agent;
  agents.push(agent);
  const first = await ask(admin.url, '/api/v1/nodes', { ...alice, agent });
  const again = await resume(admin.url, version);
  const next = servers.issue({ cn: 'next', names: 'IP:127.0.0.1' });
  admin.useTls(optionsOf(next, { clientAuth: 'request', clientCa: servers.cert }));
  const kept = await ask(admin.url, '/api/v1/nodes', { ...alice, agent });
  expect([kept.status, kept.port]).toEqual([200, first.port]);
  const fresh = await ask(admin.url, '/api/v1/nodes', alice);
  expect(fresh).toMatchObject({ status: 401 });
  expect([first.certificate, fresh.certificate]).toEqual([serialOf(server), serialOf(next)]);
  expect(await again()).toEqual({ isReused: false, status: '401' });
});

/** Makes a session, and returns what comes back with it. */
async function resume(url: string, version: 'TLSv1.2' | 'TLSv1.3') {
  const port = Number(new URL(url).port);
  const { cert, key } = alice;
  const options = { port, host: '127.0.0.1', ca: servers.cert, cert, key, maxVersion: version };
  const talk = async (session?: Buffer) => {
    const socket = connect({ ...options, session });
    sockets.push(socket);
    let last: Buffer | undefined;
    socket.on('session', (made: Buffer) => {
      last = made;
    });
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
    });
    await once(socket, 'secureConnect');
    socket.write('GET /api/v1/nodes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until(
      () => said.includes('\r\n\r\n') && (session !== undefined || last !== undefined),
      'an answer and a session',
    );
    const status = /^HTTP\/1\.1 (\d+)/.exec(said)?.[1];
    return { isReused: socket.isSessionReused(), status, session: last };
  };
  const { session } = await talk();
  return async () => {
    const { isReused, status } = await talk(session);
    return { isReused, status };
  };
}

test('idle connections and half-done handshakes lock nobody out', async () => {
  const { admin } = await start(optionsOf(server), { places: { max: 6, reserve: 2 } });
  const port = Number(new URL(admin.url).port);
  const open = async (isSecure: boolean) => {
    const socket = isSecure
      ? connect({ port, host: '127.0.0.1', ca: servers.cert })
      : connectPlain(port, '127.0.0.1');
    sockets.push(socket.on('error', () => {}));
    await once(socket, isSecure ? 'secureConnect' : 'connect');
    return socket;
  };
  const held: Socket[] = [];
  for (let i = 0; i < 20; i++) held.push((await open(i % 2 === 0)).resume());
  await until(() => held.filter(({ closed }) => closed).length >= 12, 'those beyond to be closed');
  for (let i = 0; i < 3; i++)
    expect(await ask(admin.url, '/api/v1/nodes', withToken)).toMatchObject({ status: 200 });
});

test('while every place is at work, probes are answered over TLS, and others told', async () => {
  const { admin, backend } = await start(optionsOf(server), { places: { max: 3, reserve: 2 } });
  let atWork = 0;
  backend.clients = () => {
    atWork++;
    return new Promise(() => {});
  };
  for (let i = 0; i < 3; i++) void ask(admin.url, '/api/v1/clients', withToken).catch(() => {});
  await until(() => atWork === 3, 'every place to be at work');
  expect(await ask(admin.url, '/api/v1/nodes', withToken)).toMatchObject({ status: 503 });
  expect(await ask(admin.url, '/livez')).toMatchObject({ status: 200 });
});
