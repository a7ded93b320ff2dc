import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as dialTls, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsOptions } from '../../src/engine/tls.ts';
import {
  type Authority,
  createAuthority,
  type Issued,
  tlsOptions as optionsOf,
} from '../support/certificates.ts';
import { engineScene } from '../support/engine-scene.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import {
  bytesOf,
  digest,
  endOf,
  type FakeNode,
  firstBytes,
  payload,
  received,
} from '../support/fake-node.ts';
import { until } from '../support/wait.ts';
import '../support/seed.ts';
import type { EngineName } from '../../src/engine/engine.ts';

const HIGH_WATER = 65_536;
/** More than the kernel's buffers of two sockets and the engine's own hold where nobody reads. */
const FLOOD = 16 * 1024 * 1024;
const MAX_HANDSHAKES = 20;

/** What an engine promises of TLS listeners, checked with Node's TLS client against an engine in its own thread. */
export function tlsContract(name: EngineName, records: TlsOptions['records'] = 'own'): void {
  let engine: EngineUnderTest;
  let node: FakeNode;
  let root: Authority;
  let ec: Issued;
  let rsa: Issued;
  let other: Issued;
  const ports: number[] = [];
  /** How a device is ended that shakes hands: `node:tls` does not let us see whether it could be reset. */
  const CUT_SHORT = name === 'node' ? 'fin' : 'ECONNRESET';
  const sockets = engineScene(
    () => engine,
    (fresh) => {
      node = fresh;
    },
  );

  const tlsOptions: typeof optionsOf = (certificates, more) => optionsOf(certificates, { records, ...more });

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
    return {
      device,
      connection,
      tls: () => until(() => engine.peerTls(device.localPort as number), 'the end of the handshake'),
    };
  }

  /** How a device ends that should not get in: the code of its error, or of its end. */
  async function refused(port: number, options: ConnectionOptions = {}): Promise<string> {
    return endOf(client(port, options)); // with TLS 1.3 a device is told after its own side of the handshake is done
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

  describe('handshake', () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const kind of ['EC', 'RSA'] as const) {
        it(`of ${version} with an ${kind} key tells what it has settled, and carries bytes`, async () => {
          const port = kind === 'EC' ? (ports[0] as number) : await listen(tlsOptions([rsa]));
          const { device, connection, tls } = await connect(port, {
            minVersion: version,
            maxVersion: version,
          });
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
      const old: ConnectionOptions = {
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      };
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
      expect(await refused(ports[0] as number, { ALPNProtocols: ['http/1.1'] })).toMatch(
        /NO_APPLICATION_PROTOCOL/,
      );
    });

    it('is told as failed, with nothing else, and the device is closed', async () => {
      const device = keep(dial(ports[0] as number, '127.0.0.1'));
      await once(device, 'connect');
      const connection = engine.connection(device.localPort as number);
      const ended = endOf(device);
      device.write('GET / HTTP/1.1\r\nHost: one.test\r\n\r\n');
      expect(await connection.told('deviceEnded')).toEqual(['tls']);
      await ended;
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
      expect(await endOf(device)).toBe(CUT_SHORT);
      await connection.told('closed');
    });

    it('that the device leaves in the middle does not keep the engine from closing', async () => {
      const hello = await clientHello();
      for (let round = 0; round < 4; round++) {
        const closing = await startEngine({ engine: name, highWaterBytes: HIGH_WATER });
        const { port } = await closing.listen('127.0.0.1', 0, 1, tlsOptions([ec]));
        const devices = Array.from({ length: 50 }, () => keep(dial(port, '127.0.0.1')));
        await Promise.all(
          devices.map(async (device) => {
            await once(device, 'connect');
            await closing.connection(device.localPort as number).told('accepted');
          }),
        );
        for (const device of devices) device.end(hello);
        await closing.stop();
      }
    });

    /** Devices of this source that connect and say nothing. */
    async function silent(port: number, count: number, localAddress: string): Promise<Socket[]> {
      const devices = Array.from({ length: count }, () =>
        keep(dial({ port, host: '127.0.0.1', localAddress })),
      );
      await Promise.all(
        devices.map(async (device) => {
          await once(device, 'connect');
          await engine.connection(device.localPort as number).told('accepted');
        }),
      );
      return devices;
    }
    const from = (port: number, localAddress: string) =>
      keep(dial({ port, host: '127.0.0.1', localAddress }));

    it(`beyond ${MAX_HANDSHAKES} in progress is refused at once, and told`, async () => {
      const port = ports[0] as number;
      const devices = [
        ...(await silent(port, MAX_HANDSHAKES / 2, '127.0.0.2')),
        ...(await silent(port, MAX_HANDSHAKES / 2, '127.0.0.3')),
      ];
      const before = engine.handshakesRefused.length;
      expect(await endOf(from(port, '127.0.0.4'))).toBe('ECONNRESET');
      await until(() => engine.handshakesRefused.length > before, 'the refusal');
      expect(engine.handshakesRefused.slice(before)).toEqual([1]);
      for (const device of devices) device.destroy();
      await until(() => shakesHands(port), 'a handshake to be free again');
    });

    it('one source that has half of all in progress is refused, and locks nobody else out', async () => {
      const port = ports[0] as number;
      await silent(port, MAX_HANDSHAKES / 2, '127.0.0.2');
      expect(await endOf(from(port, '127.0.0.2'))).toBe('ECONNRESET');
      expect(await shakesHands(port)).toBe(true);
    });

    it('where all are taken the one that has taken longest gives way', async () => {
      const port = ports[0] as number;
      const [oldest] = await silent(port, MAX_HANDSHAKES / 2, '127.0.0.2');
      const ended = endOf(oldest as Socket);
      await silent(port, MAX_HANDSHAKES / 2, '127.0.0.3');
      await until(() => shakesHands(port), 'a device to get in');
      expect(await ended).toBe(CUT_SHORT);
    });

    it('in a large group of RFC 7919 is refused, because it would cost us much and the device nothing', async () => {
      const device = client(ports[0] as number, { minVersion: 'TLSv1.3', ecdhCurve: 'ffdhe8192' });
      expect(await endOf(device)).toContain('ALERT_HANDSHAKE_FAILURE');
    });

    /** Does a device get in that means well? */
    async function shakesHands(port: number): Promise<boolean> {
      const device = client(port);
      const secured = once(device, 'secureConnect').then(() => true);
      return Promise.race([secured, endOf(device).then(() => false)]);
    }
  });

  describe('client certificates', () => {
    let clients: Authority;
    let good: Issued;
    let stranger: Issued;
    const listeners: Partial<Record<'request' | 'require', number>> = {};

    beforeAll(async () => {
      clients = createAuthority('clients');
      good = clients.issue({ cn: 'meter-7' });
      stranger = createAuthority('somebody else').issue({ cn: 'meter-7' });
      for (const clientAuth of ['request', 'require'] as const) {
        listeners[clientAuth] = await listen(tlsOptions([ec], { clientAuth, clientCa: clients.cert }));
      }
    });

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only: ConnectionOptions = { minVersion: version, maxVersion: version };
      const shown = ({ cert, key }: Issued): ConnectionOptions => ({ ...only, cert, key });
      const cnAt = async (port: number, options: ConnectionOptions) =>
        (await (await connect(port, options)).tls()).clientCertificateCn;

      it(`are not asked for with none (${version})`, async () => {
        expect(await cnAt(ports[0] as number, shown(good))).toBeUndefined();
      });

      it(`may be missing with request (${version})`, async () => {
        expect(await cnAt(listeners.request as number, only)).toBeUndefined();
      });

      it(`may not be missing with require (${version})`, async () => {
        expect(await refused(listeners.require as number, only)).not.toBe('in');
      });

      for (const clientAuth of ['request', 'require'] as const) {
        it(`give their name with ${clientAuth} (${version})`, async () => {
          expect(await cnAt(listeners[clientAuth] as number, shown(good))).toBe('meter-7');
        });

        it(`of another authority are refused with ${clientAuth} (${version})`, async () => {
          expect(await refused(listeners[clientAuth] as number, shown(stranger))).not.toBe('in');
        });
      }
    }
  });

  describe('sessions', () => {
    const ticketOf = (device: TLSSocket) => once(device, 'session').then(([session]) => session as Buffer);
    let twin: EngineUnderTest;
    let stranger: EngineUnderTest;
    beforeAll(async () => {
      twin = await startEngine({ engine: name, highWaterBytes: HIGH_WATER });
      const other = name === 'node' ? 'epoll' : 'node';
      stranger = await startEngine({ engine: other, highWaterBytes: HIGH_WATER });
    });
    afterAll(() => Promise.all([twin.stop(), stranger.stop()]));

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only: ConnectionOptions = { minVersion: version, maxVersion: version };

      it(`are resumed, with the client's certificate (${version})`, async () => {
        const clients = createAuthority('clients');
        const mine = clients.issue({ cn: 'meter-8' });
        const port = await listen(tlsOptions([ec], { clientAuth: 'require', clientCa: clients.cert }));
        const first = client(port, { ...only, cert: mine.cert, key: mine.key });
        const session = await ticketOf(first);
        const second = await connect(port, { ...only, cert: mine.cert, key: mine.key, session });
        expect(second.device.isSessionReused()).toBe(true);
        expect((await second.tls()).clientCertificateCn).toBe('meter-8');
      });

      it(`are resumed by whoever has the same ticket keys, on the same listener only (${version})`, async () => {
        const tls = tlsOptions([ec]);
        const port = await listen(tls);
        const session = await ticketOf(client(port, only));
        const elsewhere = await connect(await listen(tls), { ...only, session });
        expect(elsewhere.device.isSessionReused()).toBe(false);
        const index = ports.length - 1;
        const bound = await twin.listen('127.0.0.1', 0, index, tls);
        const device = client(bound.port, { ...only, session });
        await once(device, 'secureConnect');
        expect(device.isSessionReused()).toBe(true);
      });

      it(`are resumed from one kind of engine to the other, and back (${version})`, async () => {
        const tls = tlsOptions([ec]);
        const port = await listen(tls);
        const { port: foreign } = await stranger.listen('127.0.0.1', 0, ports.length, tls);
        const isResumed = async (at: number, session: Buffer) => {
          const device = client(at, { ...only, session });
          await once(device, 'secureConnect');
          return device.isSessionReused();
        };
        expect({
          there: await isResumed(foreign, await ticketOf(client(port, only))),
          back: await isResumed(port, await ticketOf(client(foreign, only))),
        }).toEqual({ there: true, back: true });
      });
    }
  });

  describe('bytes', () => {
    for (const script of ['relay', 'forward'] as const) {
      it(`${script}ed arrive whole and in order in both directions at once, and are counted`, async () => {
        const { device, connection, upstream } = await through(script, ports[0] as number);
        const [up, down] = [payload(3_000_001), payload(4_000_001)];
        const arrived = Promise.all([bytesOf(upstream, up.bytes.length), bytesOf(device, down.bytes.length)]);
        device.write(up.bytes);
        upstream.write(down.bytes);
        const [atNode, atDevice] = await arrived;
        device.end();
        upstream.end();
        expect([digest(atNode), digest(atDevice)]).toEqual([up.digest, down.digest]);
        expect(await connection.told('closed')).toEqual([up.bytes.length, down.bytes.length]);
      });

      it(`${script}ed wait at the node while the device does not read`, async () => {
        const { device, upstream } = await through(script, ports[0] as number);
        device.pause();
        const { bytes, digest: expected } = payload(FLOOD);
        upstream.write(bytes);
        await stalled(upstream);
        const arrived = received(device);
        upstream.end();
        expect(digest(await arrived)).toBe(expected);
      });

      it(`${script}ed wait at the device while the node does not read`, async () => {
        const { device, upstream } = await through(script, ports[0] as number);
        upstream.pause();
        const { bytes, digest: expected } = payload(FLOOD);
        device.write(bytes);
        await until(() => upstream.readableLength > 0, 'the first bytes');
        const arrived = received(upstream);
        device.end();
        expect(digest(await arrived)).toBe(expected);
      });
    }

    it('are flushed to the last before the end, while what the device still sends is discarded', async () => {
      const { device, connection, tls } = await connect(ports[0] as number);
      await tls(); // before, it would be reset
      const { bytes, digest: expected } = payload(4 * 1024 * 1024);
      connection.call('toDevice', new Uint8Array(bytes), 0, bytes.length);
      connection.call('endDevice', 'flush');
      device.write('ignored');
      expect(digest(await received(device))).toBe(expected);
      device.end('ignored too');
      expect(await connection.told('closed')).toEqual([expect.any(Number), bytes.length]);
    });

    it('that are already decrypted are read when the device is no longer held', async () => {
      const { device, connection } = await connect(ports[0] as number);
      connection.call('holdDevice', true);
      await engine.defer();
      for (const word of ['one', 'two', 'three']) device.write(word); // records that one read brings
      const other = await connect(ports[0] as number);
      other.device.write('other');
      await other.connection.text('deviceData', 5);
      expect(connection.names()).not.toContain('deviceData');
      connection.call('holdDevice', false);
      expect(await connection.text('deviceData', 11)).toBe('onetwothree');
    });

    it('to a device may be given before its handshake is done', async () => {
      const { device, upstream } = await (async () => {
        await engine.script('relay', node.target);
        const raw = keep(dial(ports[0] as number, '127.0.0.1'));
        const link = keep(await node.link());
        link.write('welcome');
        await engine.connection(raw.localPort as number).told('linkOpened');
        const socket = keep(dialTls({ socket: raw, ca: root.cert, servername: 'one.test' }));
        return { device: socket, upstream: link };
      })();
      expect(await firstBytes(device, 7)).toBe('welcome');
      device.write('thanks');
      expect(await firstBytes(upstream, 6)).toBe('thanks');
    });
  });

  describe('endings', () => {
    it('are carried as by TCP: close_notify of the device is its FIN, and the answer comes back', async () => {
      const { device, connection, upstream } = await through('relay', ports[0] as number);
      const { bytes, digest: expected } = payload(3_000_000);
      device.end('question');
      expect((await received(upstream)).toString()).toBe('question');
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      upstream.end(bytes);
      expect(digest(await received(device))).toBe(expected);
      expect(await connection.told('closed')).toEqual([8, bytes.length]);
    });

    it('of the node reach the device as close_notify, and the rest of the device the node', async () => {
      const { device, connection, upstream } = await through('relay', ports[0] as number);
      upstream.end('bye');
      expect((await received(device)).toString()).toBe('bye');
      expect(await connection.told('linkEnded')).toEqual([0, 'fin']);
      device.end('last');
      expect((await received(upstream)).toString()).toBe('last');
      await connection.told('closed');
    });

    it('by FIN without close_notify are FIN too', async () => {
      const raw = keep(dial(ports[0] as number, '127.0.0.1'));
      const device = keep(dialTls({ socket: raw, ca: root.cert, servername: 'one.test' }));
      await once(device, 'secureConnect');
      const connection = engine.connection(raw.localPort as number);
      device.write('bye');
      await connection.text('deviceData', 3);
      raw.end();
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
    });

    it('by reset are told, and reset the node', async () => {
      await engine.script('relay', node.target);
      const raw = keep(dial(ports[0] as number, '127.0.0.1'));
      const device = keep(dialTls({ socket: raw, ca: root.cert, servername: 'one.test' }));
      const upstream = keep(await node.link());
      device.write('hello');
      expect(await firstBytes(upstream, 5)).toBe('hello');
      const connection = engine.connection(raw.localPort as number);
      raw.resetAndDestroy();
      expect(await endOf(upstream)).toBe('ECONNRESET');
      expect(await connection.told('deviceEnded')).toEqual(['reset']);
      await connection.told('closed');
    });

    it('by a record that is no TLS are told, reset the node, and close the device', async () => {
      await engine.script('relay', node.target);
      const raw = keep(dial(ports[0] as number, '127.0.0.1'));
      const device = keep(dialTls({ socket: raw, ca: root.cert, servername: 'one.test' }));
      const upstream = keep(await node.link());
      device.write('hello');
      expect(await firstBytes(upstream, 5)).toBe('hello');
      const connection = engine.connection(raw.localPort as number);
      raw.write('\x17\x03\x03\x00\x20garbage that nobody has encrypted');
      expect(await endOf(upstream)).toBe('ECONNRESET');
      expect(await connection.told('deviceEnded')).toEqual(['tls']);
      await connection.told('closed');
    });
  });

  describe('new certificates', () => {
    it('serve new connections, while the open ones go on', async () => {
      const port = await listen(tlsOptions([ec]));
      const old = await connect(port);
      await engine.updateTls(ports.length, tlsOptions([other]));
      const fresh = await connect(port, { servername: 'other.test' });
      expect(fresh.device.getPeerCertificate().subject.CN).toBe('other');
      old.device.write('still here');
      expect(await old.connection.text('deviceData', 10)).toBe('still here');
    });

    it('that are bad are refused with the reason, and the old ones stay', async () => {
      const port = await listen(tlsOptions([ec]));
      const update = (tls: Partial<TlsOptions>) =>
        engine.updateTls(ports.length, { ...tlsOptions([ec]), ...tls });
      const reasons: readonly (readonly [Partial<TlsOptions>, RegExp])[] = [
        [{ certificates: [{ cert: ec.cert, key: other.key }] }, /key does not belong to the certificate/],
        [{ certificates: [{ cert: 'nonsense', key: ec.key }] }, /certificate is not in PEM/],
        [{ certificates: [{ cert: ec.cert, key: 'nonsense' }] }, /not an unencrypted private key/],
        [{ certificates: [] }, /no certificate/],
        [{ clientAuth: 'require' }, /needs clientCa/],
        [{ clientAuth: 'require', clientCa: 'nonsense' }, /clientCa is not in PEM/],
      ];
      for (const [tls, reason] of reasons) {
        await expect(update(tls)).rejects.toMatchObject({
          code: 'TLS_INVALID',
          message: expect.stringMatching(reason),
        });
      }
      expect((await connect(port)).device.authorized).toBe(true);
    });

    it('are forgotten with their listener, whose index may be a plain one next', async () => {
      const port = await listen(tlsOptions([ec]));
      const index = ports.length;
      const old = await connect(port);
      await engine.unlisten(index);
      const bound = await engine.listen('127.0.0.1', 0, index);
      const plain = await engine.connect(bound.port);
      plain.device.write('plain');
      expect(await plain.connection.text('deviceData', 5)).toBe('plain');
      plain.device.destroy();
      old.device.write('still here');
      expect(await old.connection.text('deviceData', 10)).toBe('still here');
    });

    it('may come many times under traffic, and nobody is dropped', async () => {
      const port = await listen(tlsOptions([ec]));
      const pairs = await Promise.all([1, 2, 3].map(() => connect(port)));
      for (let round = 0; round < 40; round++) {
        await engine.updateTls(ports.length, tlsOptions([round % 2 === 0 ? rsa : ec]));
        if (round % 10 === 0) await connect(port);
      }
      for (const { device, connection } of pairs) {
        device.write('here');
        expect(await connection.text('deviceData', 4)).toBe('here');
      }
    });
  });

  describe('anything instead of a handshake', () => {
    async function thrown(bytes: Uint8Array): Promise<void> {
      const device = keep(dial(ports[0] as number, '127.0.0.1'));
      await once(device, 'connect');
      const connection = engine.connection(device.localPort as number);
      const closed = connection.told('closed');
      device.end(bytes);
      await connection.told('deviceEnded');
      connection.call('endDevice', 'reset');
      await closed;
      expect(connection.names()).not.toContain('deviceData');
    }

    it('ends in order: random bytes', async () => {
      await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), thrown), { numRuns: 40 });
    });

    it('ends in order: a ClientHello cut short or changed', async () => {
      const hello = await clientHello();
      const change = fc.record({
        cut: fc.nat({ max: hello.length - 1 }),
        at: fc.nat({ max: hello.length - 1 }),
        byte: fc.nat({ max: 255 }),
      });
      const mutated = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
        const bytes = Buffer.from(hello);
        for (const { at, byte } of changes) bytes[at] = byte;
        return bytes.subarray(0, changes[0]?.cut);
      });
      await fc.assert(fc.asyncProperty(mutated, thrown), { numRuns: 80 });
      const { device, connection } = await connect(ports[0] as number);
      device.write('fine');
      expect(await connection.text('deviceData', 4)).toBe('fine');
    });

    it('keeps no descriptor, nor memory, of handshakes that were aborted in the middle', async () => {
      const hello = await clientHello();
      const open = (): number => readdirSync('/proc/self/fd').length;
      const abort = async (): Promise<void> => {
        const device = keep(dial(ports[0] as number, '127.0.0.1'));
        await once(device, 'connect');
        const connection = engine.connection(device.localPort as number);
        device.write(hello);
        await once(device, 'data');
        device.resetAndDestroy();
        await connection.told('closed');
        sockets.length = 0;
      };
      for (let i = 0; i < 100; i++) await abort();
      const [descriptors, memory] = [open(), process.memoryUsage.rss()];
      for (let i = 0; i < 600; i++) await abort();
      await until(() => open() <= descriptors, `${descriptors} descriptors, as before`);
      expect(process.memoryUsage.rss() - memory).toBeLessThan(25e6); // a session that is not freed has over 50 kB
    });
  });
}

/** What a device sends first, in one piece. */
async function clientHello(): Promise<Buffer> {
  const [near, far] = duplexPair();
  dialTls({ socket: near, servername: 'one.test', ALPNProtocols: ['mqtt'] }).on('error', () => undefined);
  const [chunk] = (await once(far, 'data')) as [Buffer];
  return chunk;
}

/** Waits until a socket's own buffer holds bytes that the other side does not take any more. */
async function stalled(socket: Socket): Promise<void> {
  let last = -1;
  await until(() => {
    const now = socket.bytesWritten - socket.writableLength;
    const still = now === last && socket.writableLength > 0;
    last = now;
    return still;
  }, 'the sender to be held back');
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
