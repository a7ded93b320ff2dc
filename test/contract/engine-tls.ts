import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as dialTls, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TlsOptions } from '../../src/engine/tls.ts';
import { type Authority, createAuthority, type Issued, tlsOptions } from '../support/certificates.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import { bytesOf, digest, endOf, type FakeNode, fakeNode, firstBytes, payload, received } from '../support/fake-node.ts';
import { until } from '../support/wait.ts';

const HIGH_WATER = 65_536;
const FLOOD = 64 * 1024 * 1024;
const MAX_HANDSHAKES = 20;

/** What an engine promises of TLS listeners, checked with Node's TLS client against an engine in its own thread. */
export function tlsContract(name: 'epoll' | 'node'): void {
  let engine: EngineUnderTest;
  let node: FakeNode;
  let root: Authority;
  let ec: Issued;
  let rsa: Issued;
  let other: Issued;
  const ports: number[] = [];
  const sockets: Socket[] = [];

  /** A listener of its own; its index is its place in `ports`. */
  async function listen(tls: TlsOptions): Promise<number> {
    const { port } = await engine.listen('127.0.0.1', 0, ports.length + 1, tls);
    ports.push(port);
    return port;
  }

  function keep<S extends Socket>(socket: S): S {
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  }

  function client(port: number, options: ConnectionOptions = {}): TLSSocket {
    return keep(
      dialTls({
        ...{ port, host: '127.0.0.1', ca: root.cert, servername: 'one.test', allowHalfOpen: true },
        ...options,
      } as ConnectionOptions),
    );
  }

  /** A device behind its handshake, and its connection. */
  async function connect(port: number, options: ConnectionOptions = {}) {
    const device = client(port, options);
    await new Promise((done, failed) => device.once('secureConnect', done).once('error', failed));
    const connection = engine.connection(device.localPort as number);
    await connection.told('accepted');
    return { device, connection, tls: () => until(() => engine.peerTls(device.localPort as number), 'the end of the handshake') };
  }

  /** How a device ends that should not get in: the code of its error, or of its end. */
  async function refused(port: number, options: ConnectionOptions = {}): Promise<string> {
    const device = client(port, options);
    device.on('secureConnect', () => device.write('in?'));
    return endOf(device);
  }

  async function through(script: 'relay' | 'forward', port: number) {
    await engine.script(script, node.target);
    const pair = await connect(port);
    const upstream = keep(await node.link());
    await pair.connection.told('linkOpened');
    return { ...pair, upstream };
  }

  beforeAll(async () => {
    engine = await startEngine({ engine: name, highWaterBytes: HIGH_WATER, maxHandshakes: MAX_HANDSHAKES });
    root = createAuthority('root');
    ec = root.issue({ cn: 'one', names: 'DNS:one.test,IP:127.0.0.1' });
    rsa = root.issue({ cn: 'one', names: 'DNS:one.test,IP:127.0.0.1', rsa: true });
    other = root.issue({ cn: 'other', names: 'DNS:other.test,DNS:*.wild.test' });
    await listen(tlsOptions([ec]));
  });
  beforeEach(async () => {
    node = await fakeNode();
    await engine.script('manual');
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    node.stop();
    expect(engine.faults.splice(0)).toEqual([]);
  });
  afterAll(() => engine.stop());

  describe('handshake', () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const kind of ['EC', 'RSA'] as const) {
        it(`of ${version} with an ${kind} key tells what it has settled, and carries bytes`, async () => {
          const port = kind === 'EC' ? (ports[0] as number) : await listen(tlsOptions([rsa]));
          const { device, connection, tls } = await connect(port, { minVersion: version, maxVersion: version });
          expect(await tls()).toEqual({
            version,
            cipher: device.getCipher().name,
            serverName: 'one.test',
            alpn: undefined,
            clientCertificateCn: undefined,
          });
          device.write('hello');
          expect(await connection.text('deviceData', 5)).toBe('hello');
          connection.write('device', 'answer');
          expect(await firstBytes(device, 6)).toBe('answer');
          device.end();
          expect(await connection.told('deviceEnded')).toEqual(['fin']);
          connection.call('endDevice', 'flush');
          expect(await connection.told('closed')).toEqual([5, 6]);
        });
      }
    }

    it('is refused below TLS 1.2', async () => {
      const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
      expect(await refused(ports[0] as number, old)).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    });

    it('shows the whole chain to a device that knows only the root', async () => {
      const issued = root.below('intermediate').issue({ cn: 'one', names: 'DNS:one.test' });
      const { device } = await connect(await listen(tlsOptions([issued])));
      expect(device.authorized).toBe(true);
    });

    it('takes the key that suits the device where both are given for one name', async () => {
      const port = await listen(tlsOptions([ec, rsa]));
      const only = (ciphers: string) => connect(port, { ciphers, maxVersion: 'TLSv1.2' });
      expect((await only('ECDHE-RSA-AES128-GCM-SHA256')).device.getPeerCertificate().bits).toBe(2048);
      expect((await only('ECDHE-ECDSA-AES128-GCM-SHA256')).device.getPeerCertificate().bits).toBe(256);
    });

    it('chooses the certificate by server name, also by wildcard, and the first where none is for it', async () => {
      const port = await listen(tlsOptions([ec, other]));
      const shown = async (servername: string) => {
        const { device, tls } = await connect(port, { servername, rejectUnauthorized: false });
        expect((await tls()).serverName).toBe(servername === '' ? undefined : servername);
        return device.getPeerCertificate().subject.CN;
      };
      expect(await shown('one.test')).toBe('one');
      expect(await shown('OTHER.test')).toBe('other');
      expect(await shown('a.wild.test')).toBe('other');
      expect(await shown('a.b.wild.test')).toBe('one');
      expect(await shown('nobody.test')).toBe('one');
      expect(await shown('')).toBe('one');
    });

    it('settles on mqtt where it is offered', async () => {
      const { device, tls } = await connect(ports[0] as number, { ALPNProtocols: ['http/1.1', 'mqtt'] });
      expect([device.alpnProtocol, (await tls()).alpn]).toEqual(['mqtt', 'mqtt']);
    });

    it('is refused to a device that offers other protocols only (RFC 7301, 3.2)', async () => {
      expect(await refused(ports[0] as number, { ALPNProtocols: ['http/1.1'] })).toMatch(/NO_APPLICATION_PROTOCOL/);
    });

    it('is told as failed, with nothing else, and the device is closed', async () => {
      const device = keep(dial(ports[0] as number, '127.0.0.1'));
      await once(device, 'connect');
      const connection = engine.connection(device.localPort as number);
      device.write('GET / HTTP/1.1\r\nHost: one.test\r\n\r\n');
      expect(await connection.told('deviceEnded')).toEqual(['tls']);
      await endOf(device);
      device.end();
      expect(await connection.told('closed')).toEqual([0, 0]);
      expect(connection.names()).toEqual(['accepted', 'deviceEnded', 'closed']);
    });

    it('may come a byte at a time', async () => {
      const upstream = keep(dial({ port: ports[0] as number, host: '127.0.0.1', noDelay: true }));
      await once(upstream, 'connect');
      const [near, far] = duplexPair();
      far.on('data', (chunk: Buffer) => {
        for (const byte of chunk) upstream.write(Buffer.of(byte));
      });
      upstream.on('data', (chunk) => far.write(chunk));
      const device = dialTls({ socket: near, ca: root.cert, servername: 'one.test' });
      await once(device, 'secureConnect');
      device.write('slow');
      const connection = engine.connection(upstream.localPort as number);
      expect(await connection.text('deviceData', 4)).toBe('slow');
    });

    it('that is not finished is ended by the timer of the connection', async () => {
      const device = keep(dial(ports[0] as number, '127.0.0.1'));
      await once(device, 'connect');
      const connection = engine.connection(device.localPort as number);
      await connection.told('accepted');
      connection.call('setTimer', 10);
      await connection.told('timer');
      connection.call('endDevice', 'reset');
      expect(await endOf(device)).toBe('ECONNRESET');
      await connection.told('closed');
    });

    it(`beyond ${MAX_HANDSHAKES} in progress is refused at once, and told`, async () => {
      const port = ports[0] as number;
      const silent = Array.from({ length: MAX_HANDSHAKES }, () => keep(dial(port, '127.0.0.1')));
      await Promise.all(
        silent.map(async (device) => {
          await once(device, 'connect');
          await engine.connection(device.localPort as number).told('accepted');
        }),
      );
      const before = engine.handshakesRefused.length;
      expect(await endOf(keep(dial(port, '127.0.0.1')))).toBe('ECONNRESET');
      expect(engine.handshakesRefused.slice(before)).toEqual([1]);
      for (const device of silent) device.destroy();
      await until(async () => {
        const device = client(port);
        const [opened] = await Promise.race([once(device, 'secureConnect').then(() => [true]), endOf(device)]);
        return opened === true;
      }, 'a handshake to be free again');
    });
  });
}

/** Two ends of a pipe. */
function duplexPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [0, 1].map(
    (side) =>
      new Duplex({
        read: () => undefined,
        write: (chunk, _encoding, done) => {
          ends[1 - side]?.push(chunk);
          done();
        },
      }),
  );
  return ends as [Duplex, Duplex];
}

void [createHash, readdirSync, fc, bytesOf, digest, payload, received, FLOOD];
