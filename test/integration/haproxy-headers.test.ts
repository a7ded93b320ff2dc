import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import {
  type Decoded,
  decodeProxyHeader,
  type ProxyHeader,
} from '../../src/protocol/proxy-protocol/decode.ts';
import { encodeProxyV1, encodeProxyV2 } from '../../src/protocol/proxy-protocol/encode.ts';
import { tlvType, toldTls } from '../../src/protocol/proxy-protocol/tlv.ts';
import { freePort } from '../support/free-port.ts';
import { accepts, atEnd, start, temporaryDirectory } from '../support/process.ts';

/** Headers that a real HAProxy sends are read, and those that we send a real HAProxy reads. */

interface Captured {
  readonly header: ProxyHeader;
  readonly raw: Buffer;
}

const captured: Captured[] = [];
const directory = temporaryDirectory();
const ports = { v1: 0, v2: 0, tls: 0, chain: 0 };

beforeAll(async () => {
  const node = createServer(capture).listen(0, '127.0.0.1');
  atEnd(() => node.close());
  await once(node, 'listening');
  for (const name of ['v1', 'v2', 'tls', 'chain'] as const) ports[name] = await freePort();
  makeCertificates();
  const server = `server node 127.0.0.1:${(node.address() as AddressInfo).port}`;
  writeFileSync(
    join(directory, 'haproxy.cfg'),
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  unique-id-format %ci-%cp
listen v1
  bind 127.0.0.1:${ports.v1}
  ${server} send-proxy
listen v2
  bind 127.0.0.1:${ports.v2}
  ${server} send-proxy-v2 proxy-v2-options crc32c,unique-id
listen tls
  bind 127.0.0.1:${ports.tls} ssl crt ${directory}/server.pem ca-file ${directory}/ca.crt verify optional alpn mqtt
  ${server} send-proxy-v2-ssl-cn proxy-v2-options authority,ssl-cipher,crc32c
listen chain
  bind 127.0.0.1:${ports.chain} accept-proxy
  ${server} send-proxy-v2
`,
  );
  const haproxy = start('haproxy', ['-f', join(directory, 'haproxy.cfg')]);
  for (const port of Object.values(ports)) await accepts(port, haproxy);
});

/** Plays the node: reads one header byte by byte, then answers so that the device knows. */
function capture(socket: Socket): void {
  let raw = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    raw = Buffer.concat([raw, chunk]);
    let result: Decoded = { kind: 'incomplete', wantedBytes: 1 };
    for (let end = 0; end <= raw.length && result.kind === 'incomplete'; end++) {
      result = decodeProxyHeader(raw, 0, end);
    }
    if (result.kind === 'refused') socket.end(`refused: ${result.detail}`);
    if (result.kind !== 'header' || raw.length === result.end) return;
    captured.push({ header: result.header, raw: raw.subarray(0, result.end) });
    socket.end(`payload: ${raw.subarray(result.end)}`);
  });
}

/** One CA, by which the server and a client named `meter-7` are certified. */
function makeCertificates(): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test CA');
  for (const name of ['server', 'meter-7']) {
    openssl(
      'req',
      ...key.slice(0, 5),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...by);
  }
  writeFileSync(join(directory, 'server.pem'), Buffer.concat([file('server.crt'), file('server.key')]));
}

const file = (name: string): Buffer => readFileSync(join(directory, name));

/** Sends `text` and waits for the node's answer; gives what the node captured, and the device's own port. */
async function exchange(socket: Socket, event: string, bytes: Uint8Array | string) {
  await once(socket, event);
  const { localPort } = socket;
  socket.write(bytes);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  const last = captured.at(-1);
  if (last === undefined) throw new Error(`no header came: ${answer}`);
  return { ...last, answer, device: { address: '127.0.0.1', port: localPort } };
}

test('version 1 (2.1)', async () => {
  const { header, raw, answer, device } = await exchange(connect(ports.v1, '127.0.0.1'), 'connect', 'hello');
  expect(answer).toBe('payload: hello');
  const destination = { address: '127.0.0.1', port: ports.v1 };
  expect(header).toEqual({ version: 1, source: device, destination, tlvs: [] });
  expect(Buffer.from(encodeProxyV1(header))).toEqual(raw);
});

test('version 2 with CRC32c and unique id (2.2.3, 2.2.5)', async () => {
  const { header, raw, device } = await exchange(connect(ports.v2, '127.0.0.1'), 'connect', 'hello');
  expect(header).toMatchObject({ source: device, destination: { address: '127.0.0.1', port: ports.v2 } });
  const uniqueId = Buffer.from(`127.0.0.1-${device.port}`);
  const told = header.tlvs.find(({ type }) => type === tlvType.uniqueId);
  expect(Buffer.from(told?.value ?? [])).toEqual(uniqueId);
  expect(header.tlvs.map(({ type }) => type)).toContain(tlvType.crc32c);
  const ours = encodeProxyV2({ ...header, uniqueId });
  expect(ours.length).toBe(raw.length);
});

test('version 2 with SSL, common name, authority and ALPN (2.2.6)', async () => {
  const options = { servername: 'mqtt.example.com', ALPNProtocols: ['mqtt'], rejectUnauthorized: false };
  const certificate = { cert: file('meter-7.crt'), key: file('meter-7.key') };
  const socket = connectTls({ port: ports.tls, host: '127.0.0.1', ...options, ...certificate });
  const { header, device } = await exchange(socket, 'secureConnect', 'hello');
  expect(header.source).toEqual(device);
  expect(toldTls(header.tlvs)).toEqual({
    sni: 'mqtt.example.com',
    alpn: 'mqtt',
    version: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    clientCn: 'meter-7',
  });

  const clientCertificate = { commonName: 'meter-7', isVerified: true };
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', sni: 'mqtt.example.com', alpn: 'mqtt' };
  const { source, destination } = header;
  const bytes = encodeProxyV2({ source, destination, tls: { ...tls, clientCertificate } });
  const ours = decodeProxyHeader(bytes, 0, bytes.length);
  if (ours.kind !== 'header') throw new Error('our own header is refused');
  const byType = (of: ProxyHeader) =>
    of.tlvs
      .filter(({ type }) => type !== tlvType.crc32c && type !== tlvType.ssl)
      .map(({ type, value }) => [type, Buffer.from(value).toString('hex')])
      .sort();
  expect(byType(ours.header)).toEqual(byType(header));
  const ssl = (of: ProxyHeader) => of.tlvs.find(({ type }) => type === tlvType.ssl)?.value;
  expect(ssl(ours.header)?.length).toBe(ssl(header)?.length);
});

const source = { address: '2001:db8::7', port: 4711 };
const destination = { address: '2001:db8::1', port: 1883 };
test.each([
  ['version 1', encodeProxyV1({ source, destination })],
  ['version 2 with a checksum', encodeProxyV2({ source, destination, uniqueId: Buffer.from('one') })],
])('HAProxy believes our header of %s', async (_what, ours) => {
  const bytes = Buffer.concat([ours, Buffer.from('hello')]);
  const { header, answer } = await exchange(connect(ports.chain, '127.0.0.1'), 'connect', bytes);
  expect(answer).toBe('payload: hello');
  expect(header).toMatchObject({ source, destination });
});
