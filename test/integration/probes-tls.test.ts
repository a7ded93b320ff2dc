import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createPlain, type Server } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { probes } from '../../src/health/index.ts';
import { type ProbeName, type ProbeTarget, type ProbeTls, probeTarget } from '../../src/health/probe.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { atEnd } from '../support/process.ts';

const limits = { timeoutMs: 10_000 };
let root: Authority;
let node: Issued;
let client: Issued;

beforeAll(() => {
  root = createAuthority('root');
  node = root.issue({ cn: 'node', names: 'DNS:node.test' });
  client = root.issue({ cn: 'proxy' });
});

async function serve(server: Server, tls: Partial<ProbeTls> = {}): Promise<ProbeTarget> {
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => server.close());
  const { port } = server.address() as AddressInfo;
  const own = { ca: root.cert, serverName: 'node.test', verify: true, ...tls };
  return { nodeId: 'n', host: '127.0.0.1', port, path: '/status', tls: own };
}

/** Answers CONNECT, and whatever else comes, with a CONNACK that accepts. */
const broker = (more = {}) =>
  createServer({ cert: node.cert, key: node.key, ...more }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.write(Uint8Array.of(0x20, 2, 0, 0)));
  });
const page = () =>
  createHttps({ cert: node.cert, key: node.key }, ({ url }, response) =>
    response.writeHead(url === '/status' ? 200 : 404).end(),
  );
const servers: readonly (readonly [ProbeName, () => Server])[] = [
  ['tcp', () => broker()],
  ['mqtt', () => broker()],
  ['http', page],
];

describe.each(servers)('%s probe by TLS', (name, server) => {
  test('passes where the certificate is good and for the node', async () => {
    await expect(probes[name](await serve(server()), limits)).resolves.toBeUndefined();
  });

  test('fails where it is not, and says why', async () => {
    const other = await serve(server(), { serverName: 'other.test' });
    await expect(probes[name](other, limits)).rejects.toMatchObject({ code: 'PROBE_FAILED' });
    const unknown = await serve(server(), { ca: createAuthority('stranger').cert });
    const failed = expect.objectContaining({
      message: expect.stringMatching(/UNABLE_TO_VERIFY|SELF_SIGNED/),
    });
    await expect(probes[name](unknown, limits)).rejects.toEqual(failed);
  });

  test('passes with any certificate where it is not to verify', async () => {
    const target = await serve(server(), { ca: undefined, serverName: 'other.test', verify: false });
    await expect(probes[name](target, limits)).resolves.toBeUndefined();
  });

  test('fails where the node speaks no TLS, or says nothing', async () => {
    const plain = createPlain((socket) => socket.on('error', () => {}).end('no TLS, not at all'));
    await expect(probes[name](await serve(plain), limits)).rejects.toMatchObject({ code: 'PROBE_FAILED' });
    const silent = createPlain((socket) => socket.on('error', () => {}).resume());
    const timeout = { code: 'PROBE_TIMEOUT' };
    await expect(probes[name](await serve(silent), { timeoutMs: 200 })).rejects.toMatchObject(timeout);
  });

  test('sends the PROXY header before all of TLS', async () => {
    const header = new Uint8Array(Buffer.from('PROXY UNKNOWN\r\n'));
    const first = new Promise<Buffer>((resolve) => {
      const plain = createPlain((socket) => socket.on('error', () => {}).once('data', resolve));
      void serve(plain).then((target) =>
        probes[name]({ ...target, header: () => header }, { timeoutMs: 500 }).catch(() => {}),
      );
    });
    expect((await first).toString('latin1', 0, header.length)).toBe('PROXY UNKNOWN\r\n');
  });
});

test('shows its certificate to a node that wants one', async () => {
  const server = broker({ ca: root.cert, requestCert: true, rejectUnauthorized: true });
  const shown = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  await probes.mqtt(await serve(server, { certificate: client }), limits);
  expect((await shown)[0].getPeerCertificate().subject.CN).toBe('proxy');
});

test('TLS is for mqtts nodes, and for mqtts and https probe URLs', () => {
  const at = (url: string, probeUrl?: string, tls = {}) =>
    probeTarget({ id: 'a', url, ...(probeUrl && { probeUrl }) }, '/', 'none', tls);
  expect(at('mqtt://a:1').tls).toBeUndefined();
  expect(at('mqtts://a')).toMatchObject({ port: 8883, tls: { serverName: 'a', verify: true } });
  expect(at('mqtts://a', 'http://a/status').tls).toBeUndefined();
  expect(at('mqtt://a', 'https://b/status')).toMatchObject({ port: 443, tls: { serverName: 'b' } });
  expect(at('mqtts://a', 'mqtts://b', { serverName: 'c', verify: false }).tls).toEqual({
    serverName: 'c',
    verify: false,
  });
});
