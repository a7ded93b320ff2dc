import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer as createPlain } from 'node:net';
import type { TLSSocket, TlsOptions as TlsServerOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Target } from '../../src/connection/wire.ts';
import type { EngineName } from '../../src/engine/engine.ts';
import type { UpstreamTls } from '../../src/engine/tls.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import {
  bytesOf,
  digest,
  endOf,
  type FakeNode,
  fakeNode,
  firstBytes,
  payload,
  received,
} from '../support/fake-node.ts';

const HIGH_WATER = 65_536;
const BULK = 4 * 1024 * 1024;

/** What an engine promises of links to nodes by TLS, checked against Node's TLS server. */
export function tlsLinksContract(name: EngineName, records: UpstreamTls['records'] = 'own'): void {
  let engine: EngineUnderTest;
  let root: Authority;
  let named: Issued;
  let addressed: Issued;
  let client: Issued;
  let pool = 0;
  const nodes: FakeNode[] = [];

  beforeAll(async () => {
    engine = await startEngine({ engine: name, highWaterBytes: HIGH_WATER });
    root = createAuthority('root');
    named = root.issue({ cn: 'node', names: 'DNS:node.test' });
    addressed = root.issue({ cn: 'node', names: 'IP:127.0.0.1' });
    client = root.issue({ cn: 'proxy-1' });
  });
  afterEach(() => {
    for (const node of nodes.splice(0)) node.stop();
    expect(engine.faults.splice(0)).toEqual([]);
  });
  afterAll(() => engine.stop());

  async function nodeOf(issued: Issued, more: TlsServerOptions = {}): Promise<FakeNode> {
    const node = await fakeNode({ cert: issued.cert, key: issued.key, ...more });
    nodes.push(node);
    return node;
  }

  /** A pool of its own, and the target that names it. */
  async function target(
    node: FakeNode,
    tls?: Partial<UpstreamTls>,
    serverName = 'node.test',
  ): Promise<Target> {
    pool++;
    if (tls !== undefined || records !== 'own')
      await engine.updateUpstreamTls(pool, { verify: true, records, ...tls });
    return { ...node.target, tls: { pool, serverName } };
  }

  /** What becomes of a dial: `opened`, or the reason why not. */
  async function dialled(to: Target): Promise<string> {
    await engine.script('manual');
    const { connection, device } = await engine.connect();
    connection.call('dial', to);
    const outcome = await Promise.race([
      connection.told('linkOpened').then(() => 'opened'),
      connection.told('linkFailed').then(([, reason]) => String(reason)),
    ]);
    device.destroy();
    return outcome;
  }

  async function through(script: 'relay' | 'forward', node: FakeNode, to: Target) {
    await engine.script(script, to);
    const pair = await engine.connect();
    await pair.connection.told('linkOpened');
    return { ...pair, upstream: (await node.link()) as TLSSocket };
  }

  describe('a link by TLS', () => {
    it('is opened behind its handshake, with the name asked for, and carries bytes', async () => {
      const node = await nodeOf(named);
      const to = await target(node, { ca: root.cert });
      await engine.script('manual');
      const { connection, device } = await engine.connect();
      connection.call('dial', to);
      await connection.told('linkOpened');
      const upstream = (await node.link()) as TLSSocket;
      expect([upstream.servername, upstream.getProtocol()]).toEqual(['node.test', 'TLSv1.3']);
      connection.write(0, 'to the node');
      expect(await firstBytes(upstream, 11)).toBe('to the node');
      upstream.write('to the device');
      expect(await connection.text('linkData', 13)).toBe('to the device');
      upstream.end();
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      connection.call('endNode', 0, 'flush');
      connection.call('endDevice', 'flush');
      device.end();
      await connection.told('closed');
    });

    it('is opened by TLS 1.2 too', async () => {
      const node = await nodeOf(named, { maxVersion: 'TLSv1.2' });
      expect(await dialled(await target(node, { ca: root.cert }))).toBe('opened');
    });

    it('verifies an address where the node is named by one', async () => {
      const ca = root.cert;
      expect(await dialled(await target(await nodeOf(addressed), { ca }, '127.0.0.1'))).toBe('opened');
      expect(await dialled(await target(await nodeOf(named), { ca }, '127.0.0.1'))).toMatch(
        /^TLS: certificate verify failed: /,
      );
    });

    it('takes the name of the pool before that of the node', async () => {
      const node = await nodeOf(named);
      expect(await dialled(await target(node, { ca: root.cert, serverName: 'node.test' }, '10.1.1.1'))).toBe(
        'opened',
      );
      expect(((await node.link()) as TLSSocket).servername).toBe('node.test');
    });

    it.each([
      ['is for another name', (): Partial<UpstreamTls> => ({ ca: root.cert }), 'other.test'],
      [
        'is of an authority that is not trusted',
        () => ({ ca: createAuthority('stranger').cert }),
        'node.test',
      ],
      ['is of none of the usual authorities, where none is named', () => ({}), 'node.test'],
    ])('fails where the certificate %s', async (_what, tls, serverName) => {
      expect(await dialled(await target(await nodeOf(named), tls(), serverName))).toMatch(
        /^TLS: certificate verify failed: ./,
      );
    });

    it('verifies also where nothing was said of the pool', async () => {
      expect(await dialled(await target(await nodeOf(named)))).toMatch(/^TLS: certificate verify failed: ./);
    });

    it('takes any certificate where it is not to verify', async () => {
      expect(await dialled(await target(await nodeOf(named), { verify: false }, 'other.test'))).toBe(
        'opened',
      );
    });

    it('shows its certificate to a node that wants one', async () => {
      const node = await nodeOf(named, { ca: root.cert, requestCert: true, rejectUnauthorized: true });
      const certificate = { cert: client.cert, key: client.key };
      expect(await dialled(await target(node, { ca: root.cert, certificate }))).toBe('opened');
      expect(((await node.link()) as TLSSocket).getPeerCertificate().subject.CN).toBe('proxy-1');
    });

    it('fails, or ends, where the node wants one that is not there', async () => {
      const node = await nodeOf(named, {
        ...{ ca: root.cert, requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' },
      });
      expect(await dialled(await target(node, { ca: root.cert }))).toMatch(
        /^(TLS: .*handshake failure|ECONNRESET)/,
      );
      await engine.script('manual');
      const { connection, device } = await engine.connect(); // in TLS 1.3 the node says so behind our handshake
      connection.call(
        'dial',
        await target(await nodeOf(named, { ca: root.cert, requestCert: true }), { ca: root.cert }),
      );
      await connection.told('linkOpened');
      const [, cause] = await connection.told('linkEnded');
      expect(['tls', 'reset']).toContain(cause);
      device.destroy();
    });

    it('fails where the node speaks no TLS, closes, or is not there', async () => {
      const plain = createPlain((socket) =>
        socket
          .on('error', () => undefined)
          .resume()
          .end('no TLS at all, by no means'),
      ).listen(0, '127.0.0.1');
      await once(plain, 'listening');
      const port = (plain.address() as { port: number }).port;
      const node = await nodeOf(named);
      const to = await target(node, { ca: root.cert });
      expect(await dialled({ ...to, port })).toMatch(/^TLS: ./);
      plain.removeAllListeners('connection').on('connection', (socket: Socket) => socket.resetAndDestroy());
      expect(await dialled({ ...to, port })).toMatch(/^(ECONNRESET|EPIPE)$/);
      plain.removeAllListeners('connection').on('connection', (socket: Socket) => socket.resume().end());
      expect(await dialled({ ...to, port })).toBe('ECONNRESET');
      plain.close();
      await once(plain, 'close');
      expect(await dialled({ ...to, port })).toBe('ECONNREFUSED');
    });

    it('may be given up in the middle of the handshake', async () => {
      const silent = createPlain((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const port = (silent.address() as { port: number }).port;
      const to = { ...(await target(await nodeOf(named), { ca: root.cert })), port };
      for (const how of ['reset', 'flush'] as const) {
        await engine.script('manual');
        const { connection } = await engine.connect();
        const linked = once(silent, 'connection') as Promise<[Socket]>;
        connection.call('dial', to);
        const [socket] = await linked;
        await once(socket, 'data'); // its ClientHello
        const ended = endOf(socket);
        connection.call('endNode', 0, how);
        expect(await ended).toMatch(/ECONNRESET|fin/);
        connection.call('endDevice', 'reset');
        await connection.told('closed');
        expect(connection.names()).not.toContain('linkFailed');
      }
      silent.close();
    });

    it('sends the header before all of TLS', async () => {
      const plain = createPlain().listen(0, '127.0.0.1');
      await once(plain, 'listening');
      const port = (plain.address() as { port: number }).port;
      const header = new Uint8Array(Buffer.from('PROXY UNKNOWN\r\n'));
      const to = { ...(await target(await nodeOf(named), { ca: root.cert })), port, header };
      await engine.script('manual');
      const linked = once(plain, 'connection') as Promise<[Socket]>;
      const { connection, device } = await engine.connect();
      connection.call('dial', to);
      const [socket] = await linked;
      const bytes = await bytesOf(
        socket.on('error', () => undefined),
        header.length + 1,
      );
      expect(bytes.toString('latin1', 0, header.length)).toBe('PROXY UNKNOWN\r\n');
      expect(bytes[header.length]).toBe(0x16); // a handshake record (RFC 8446, 5.1)
      device.destroy();
      plain.close();
    });

    it.each([
      'relay',
      'forward',
    ] as const)('%sed carries much both ways at once, whole and in order', async (script) => {
      const node = await nodeOf(named);
      const { device, upstream, connection } = await through(
        script,
        node,
        await target(node, { ca: root.cert }),
      );
      const [there, back] = [payload(BULK), payload(BULK)];
      const arrived = Promise.all([bytesOf(upstream, BULK), bytesOf(device, BULK)]);
      device.write(there.bytes);
      upstream.write(back.bytes);
      const [atNode, atDevice] = await arrived;
      expect([digest(atNode), digest(atDevice)]).toEqual([there.digest, back.digest]);
      upstream.once('end', () => upstream.end());
      device.end();
      expect(await connection.told('closed')).toEqual([BULK, BULK]);
    });

    it('relayed ends in order: what the node said last arrives before its end', async () => {
      const node = await nodeOf(named);
      const { device, upstream, connection } = await through(
        'relay',
        node,
        await target(node, { ca: root.cert }),
      );
      const last = payload(BULK);
      const all = received(device);
      upstream.end(last.bytes);
      expect(digest(await all)).toBe(last.digest);
      device.end();
      await connection.told('closed');
    });

    it('relayed is reset when the device is', async () => {
      const node = await nodeOf(named);
      const { device, upstream, connection } = await through(
        'relay',
        node,
        await target(node, { ca: root.cert }),
      );
      const ended = endOf(upstream);
      device.resetAndDestroy();
      expect(await ended).toBe('ECONNRESET');
      await connection.told('closed');
    });

    it('takes new options for the next dials, and keeps the former where they are bad', async () => {
      const node = await nodeOf(named);
      const to = await target(node, { ca: createAuthority('stranger').cert });
      const of = (tls: UpstreamTls) => engine.updateUpstreamTls(to.tls?.pool ?? 0, { records, ...tls });
      expect(await dialled(to)).toMatch(/^TLS: /);
      await of({ ca: root.cert, verify: true });
      expect(await dialled(to)).toBe('opened');
      await expect(of({ ca: 'no certificate', verify: true })).rejects.toMatchObject({ code: 'TLS_INVALID' });
      const certificate = { cert: client.cert, key: named.key };
      await expect(of({ certificate, verify: true })).rejects.toMatchObject({ code: 'TLS_INVALID' });
      expect(await dialled(to)).toBe('opened');
    });
  });
}
