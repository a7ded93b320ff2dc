import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect as dialTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EngineName } from '../../src/engine/engine.ts';
import { type CrlOptions, checkCrls, TICKET_KEY_BYTES, type TlsOptions } from '../../src/engine/tls.ts';
import { type Authority, createAuthority, type Issued, tlsOptions } from '../support/certificates.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import { endOf } from '../support/fake-node.ts';

/** Which devices an engine lets in by TLS: versions, ciphers, revoked certificates. */
export function tlsPolicyContract(name: EngineName): void {
  let engine: EngineUnderTest;
  let root: Authority;
  let ec: Issued;
  let rsa: Issued;
  let listeners = 0;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    engine = await startEngine({ engine: name, highWaterBytes: 65_536 });
    root = createAuthority('root');
    ec = root.issue({ cn: 'one', names: 'DNS:one.test,IP:127.0.0.1' });
    rsa = root.issue({ cn: 'one', names: 'DNS:one.test,IP:127.0.0.1', rsa: true });
  });
  beforeEach(() => engine.script('manual'));
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    expect(engine.faults.splice(0)).toEqual([]);
  });
  afterAll(() => engine.stop());

  async function listen(tls: TlsOptions): Promise<{ port: number; index: number }> {
    const index = ++listeners;
    const { port } = await engine.listen('127.0.0.1', 0, index, tls);
    return { port, index };
  }

  function client(port: number, options: ConnectionOptions): TLSSocket {
    const socket = dialTls({ port, host: '127.0.0.1', ca: root.cert, servername: 'one.test', ...options });
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  }

  /**
   * The socket of a device that was let in: by TLS 1.3 it believes so before the server has looked at its certificate, so
   * something must come through.
   */
  async function letIn(port: number, options: ConnectionOptions = {}): Promise<TLSSocket | undefined> {
    const socket = client(port, options);
    const ended = endOf(socket).then(() => undefined);
    const opened = once(socket, 'secureConnect').then(() => socket);
    if ((await Promise.race([ended, opened])) === undefined) return undefined;
    const connection = engine.connection(socket.localPort as number);
    socket.write('hello');
    const heard = connection.text('deviceData', 5).then(() => socket);
    return Promise.race([ended, heard]);
  }

  const isIn = async (port: number, options?: ConnectionOptions) =>
    (await letIn(port, options)) !== undefined;
  const old = (ciphers: string): ConnectionOptions => ({
    maxVersion: 'TLSv1.2',
    ciphers: `${ciphers}@SECLEVEL=0`,
  });

  describe('versions and ciphers', () => {
    it('are by default those with forward secrecy and AEAD', async () => {
      const { port } = await listen(tlsOptions([ec, rsa]));
      const good = ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'];
      for (const cipher of good.flatMap((suite) => [`ECDHE-RSA-${suite}`, `ECDHE-ECDSA-${suite}`]))
        expect(await isIn(port, old(cipher)), cipher).toBe(true);
      const cbc = ['ECDHE-RSA-AES128-SHA256', 'ECDHE-RSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA', 'AES128-SHA'];
      for (const cipher of [...cbc, 'AES128-GCM-SHA256', 'DHE-RSA-AES128-GCM-SHA256'])
        expect(await isIn(port, old(cipher)), cipher).toBe(false);
      for (const suite of [
        'TLS_AES_256_GCM_SHA384',
        'TLS_CHACHA20_POLY1305_SHA256',
        'TLS_AES_128_GCM_SHA256',
      ])
        expect(await isIn(port, { minVersion: 'TLSv1.3', ciphers: suite }), suite).toBe(true);
    });

    it('are those that are named, and all of TLS 1.3 where none of it is', async () => {
      const { port } = await listen(tlsOptions([rsa], { ciphers: 'ECDHE-RSA-AES128-SHA256' }));
      expect(await isIn(port, old('ECDHE-RSA-AES128-SHA256'))).toBe(true);
      expect(await isIn(port, old('ECDHE-RSA-AES128-GCM-SHA256'))).toBe(false);
      expect(await isIn(port, { minVersion: 'TLSv1.3' })).toBe(true);
    });

    it('may be of TLS 1.3 only', async () => {
      const { port } = await listen(tlsOptions([ec], { ciphers: 'TLS_AES_128_GCM_SHA256' }));
      expect(await isIn(port, { minVersion: 'TLSv1.3' })).toBe(true);
      expect(await isIn(port, { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' })).toBe(false);
      expect(await isIn(port, { maxVersion: 'TLSv1.2' })).toBe(false);
    });

    it('are no less than the least version', async () => {
      const { port } = await listen(tlsOptions([ec], { minVersion: 'TLSv1.3' }));
      expect(await isIn(port, { minVersion: 'TLSv1.3' })).toBe(true);
      expect(await isIn(port, { maxVersion: 'TLSv1.2' })).toBe(false);
    });
  });

  describe('ticket keys', () => {
    const key = () => randomBytes(TICKET_KEY_BYTES);

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only: ConnectionOptions = { minVersion: version, maxVersion: version };
      const sessionAt = async (port: number, options: ConnectionOptions = only) => {
        const [session] = (await once(client(port, options), 'session')) as [Buffer];
        return session;
      };
      const isResumed = async (port: number, session: Buffer) =>
        (await letIn(port, { ...only, session }))?.isSessionReused();

      it(`that are new seal new tickets; who comes with one of a key before is let in (${version})`, async () => {
        const [first, second, third] = [key(), key(), key()];
        const tls = tlsOptions([ec, rsa], { ticketKeys: [first] });
        const { port, index } = await listen(tls);
        const session = await sessionAt(port);
        expect(await isResumed(port, session)).toBe(true);
        await engine.updateTls(index, { ...tls, ticketKeys: [second, first] });
        // Node.js itself knows one key only: there it is a full handshake.
        expect(await isResumed(port, session)).toBe(name !== 'node');
        const next = await sessionAt(port);
        expect(await isResumed(port, next)).toBe(true);
        await engine.updateTls(index, { ...tls, ticketKeys: [third, second] });
        expect(await isResumed(port, session)).toBe(false);
        expect(await isResumed(port, next)).toBe(name !== 'node');
      });

      it(`are the same for every certificate that a name chooses (${version})`, async () => {
        const other = root.issue({ cn: 'other', names: 'DNS:other.test' });
        const { port } = await listen(tlsOptions([ec, other]));
        const session = await sessionAt(port, { ...only, servername: 'other.test' });
        const again = await letIn(port, { ...only, servername: 'other.test', session });
        expect(again?.isSessionReused()).toBe(true);
      });
    }

    it('may be changed a hundred times under traffic, and nobody is dropped', async () => {
      const tls = tlsOptions([ec]);
      const { port, index } = await listen(tls);
      const device = client(port, {});
      await once(device, 'secureConnect');
      const connection = engine.connection(device.localPort as number);
      let keys = [key()];
      for (let round = 0; round < 100; round++) {
        keys = [key(), ...keys.slice(0, 1)];
        await engine.updateTls(index, { ...tls, ticketKeys: keys });
        if (round % 10 === 0) expect(await isIn(port)).toBe(true);
        device.write('.');
      }
      expect(await connection.text('deviceData', 100)).toBe('.'.repeat(100));
    });
  });

  describe('revocation lists', () => {
    let authority: Authority;
    let intermediate: Authority;
    let good: Issued;
    let revoked: Issued;
    let below: Issued;
    let revokedBelow: Issued;

    beforeAll(() => {
      authority = createAuthority('clients');
      intermediate = authority.below('site');
      [good, revoked] = [authority.issue({ cn: 'good' }), authority.issue({ cn: 'revoked' })];
      [below, revokedBelow] = [
        intermediate.issue({ cn: 'below' }),
        intermediate.issue({ cn: 'revoked below' }),
      ];
    });

    function withCrl(pem: string, more: Partial<CrlOptions> = {}): TlsOptions {
      const lists = checkCrls(pem, authority.cert);
      const isExpired = lists.some(({ nextUpdateMs = 0 }) => nextUpdateMs < Date.now());
      const crl: CrlOptions = { pem, expired: 'refuse', isExpired, lists, ...more };
      return tlsOptions([ec], { clientAuth: 'require', clientCa: authority.cert, crl });
    }

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const shown = ({ cert, key }: Issued): ConnectionOptions => ({
        ...{ cert, key, minVersion: version, maxVersion: version },
      });
      const whoIsIn = (port: number, issued: readonly Issued[]) =>
        Promise.all(issued.map((each) => isIn(port, shown(each))));

      it(`keep those out that are in one of them (${version})`, async () => {
        const lists = authority.crl([revoked]) + intermediate.crl([revokedBelow]);
        const { port } = await listen(withCrl(lists));
        expect(await whoIsIn(port, [good, revoked, below, revokedBelow])).toEqual([true, false, true, false]);
      });

      it(`count for the whole chain: who is below a revoked authority is out (${version})`, async () => {
        const { port } = await listen(withCrl(authority.crl([intermediate]) + intermediate.crl([])));
        expect(await whoIsIn(port, [good, below])).toEqual([true, false]);
      });

      it(`are needed of every authority of the chain (${version})`, async () => {
        const { port } = await listen(withCrl(authority.crl([])));
        expect(await whoIsIn(port, [good, below])).toEqual([true, false]);
      });

      it(`that have expired let nobody in, unless that is tolerated (${version})`, async () => {
        const lists = authority.crl([revoked], -1) + intermediate.crl([revokedBelow], -1);
        const strict = await listen(withCrl(lists));
        expect(await whoIsIn(strict.port, [good, below, revoked])).toEqual([false, false, false]);
        const lenient = await listen(withCrl(lists, { expired: 'tolerate' }));
        expect(await whoIsIn(lenient.port, [good, revoked, below, revokedBelow])).toEqual([
          ...[true, false, true, false],
        ]);
      });

      it(`that have expired and are tolerated hide no other fault (${version})`, async () => {
        const stranger = createAuthority('clients').issue({ cn: 'good' });
        const lists = authority.crl([], -1);
        const { port } = await listen(withCrl(lists, { expired: 'tolerate' }));
        expect(await whoIsIn(port, [good, stranger, below])).toEqual([true, false, false]);
      });

      it(`that are new hold for sessions from before too (${version})`, async () => {
        const before = withCrl(authority.crl([]));
        const { port, index } = await listen(before);
        const device = client(port, shown(revoked));
        const [session] = (await once(device, 'session')) as [Buffer];
        const again = await letIn(port, { ...shown(revoked), session });
        expect(again?.isSessionReused()).toBe(true);
        await engine.updateTls(index, {
          ...withCrl(authority.crl([revoked])),
          ticketKeys: before.ticketKeys,
        });
        expect(await isIn(port, { ...shown(revoked), session })).toBe(false);
      });
    }

    it('let devices without a certificate in where none is required', async () => {
      const tls = withCrl(authority.crl([revoked]));
      const { port } = await listen({ ...tls, clientAuth: 'request' });
      expect(await isIn(port)).toBe(true);
      expect(await isIn(port, { cert: revoked.cert, key: revoked.key })).toBe(false);
    });

    it('hold at every certificate that a name chooses', async () => {
      const other = root.issue({ cn: 'other', names: 'DNS:other.test' });
      const tls = withCrl(authority.crl([revoked]));
      const { port } = await listen({ ...tls, certificates: [...tls.certificates, other] });
      for (const servername of ['one.test', 'other.test']) {
        const as = ({ cert, key }: Issued) =>
          isIn(port, { cert, key, servername, rejectUnauthorized: false });
        expect([await as(good), await as(revoked)]).toEqual([true, false]);
      }
    });

    it('that are damaged, or not of an authority, are refused', async () => {
      const { index } = await listen(withCrl(authority.crl([])));
      const lists = createAuthority('other').crl([]);
      const update = (pem: string) => {
        const crl: CrlOptions = { pem, expired: 'refuse', isExpired: false, lists: [] };
        return engine.updateTls(index, { ...withCrl(authority.crl([])), crl });
      };
      const damaged = authority.crl([]).replace(/\n[^-\n]{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
      for (const [pem, reason] of [
        [lists, /no list of .*clients/],
        ['nonsense', /no certificate revocation list/],
        [damaged, /damaged/],
      ] as const) {
        await expect(update(pem)).rejects.toMatchObject({
          code: 'TLS_INVALID',
          message: expect.stringMatching(reason),
        });
      }
    });
  });
}
