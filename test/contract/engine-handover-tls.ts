import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as dialTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, createAuthority, type Issued, tlsOptions } from '../support/certificates.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import type { Script } from '../support/engine-worker.ts';
import { digest, type FakeNode, fakeNode, firstBytes, payload, received } from '../support/fake-node.ts';
import { duplicated, frozen, gathered, handOver, streamed } from '../support/hand-over.ts';
import type { LinuxEngineName } from '../support/linux-engines.ts';
import { until } from '../support/wait.ts';

/** A connection in which no record has come in part, and none waits to be sent. */
const BARE_BYTES = 268;

/** What engines promise of TLS connections that are handed over: both sides of the connection are TLS here. */
export function tlsHandOverContract(name: LinuxEngineName, to = name): void {
  let engine: EngineUnderTest;
  let other: EngineUnderTest;
  let node: FakeNode;
  let root: Authority;
  let issued: Issued;
  let own: number;
  let openssl: number;
  const sockets: Socket[] = [];
  const target = () => ({ ...node.target, tls: { pool: 1, serverName: 'one.test' } });

  beforeAll(async () => {
    const settings = { highWaterBytes: 65_536 };
    [engine, other] = await Promise.all([
      startEngine({ ...settings, engine: name }),
      startEngine({ ...settings, engine: to }),
    ]);
    root = createAuthority('root');
    issued = root.issue({ cn: 'one', names: 'DNS:one.test' });
    own = (await engine.listen('127.0.0.1', 0, 1, tlsOptions([issued]))).port;
    openssl = (await engine.listen('127.0.0.1', 0, 2, tlsOptions([issued], { records: 'openssl' }))).port;
    await engine.updateUpstreamTls(1, { verify: true, ca: root.cert });
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    node.stop();
    expect([engine.faults, other.faults]).toEqual([[], []]);
  });
  afterAll(() => Promise.all([engine.stop(), other.stop()]));

  function keep<S extends Socket>(socket: S): S {
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  }

  /** A device and its link. `other` has neither a TLS listener nor settings of the pool. */
  async function serve(
    script: Script,
    port: number,
    options: { minVersion?: SecureVersion; maxVersion?: SecureVersion } = {},
  ) {
    node = await fakeNode({ cert: issued.cert, key: issued.key, ...options });
    await engine.script(script, target());
    const to = { port, host: '127.0.0.1', ca: root.cert, servername: 'one.test', allowHalfOpen: true };
    const device = keep<TLSSocket>(dialTls({ ...to, ...options }));
    await once(device, 'secureConnect');
    const devicePort = device.localPort as number;
    const connection = engine.connection(devicePort);
    await until(() => engine.peerTls(devicePort), 'the end of the handshake');
    if (script === 'manual') connection.call('dial', target());
    const upstream = keep(await node.link());
    await connection.told('linkOpened');
    return { device, connection, upstream, port: devicePort };
  }

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a connection of %s', (version) => {
    const options = { minVersion: version, maxVersion: version };

    it.each([
      'relay',
      'forward',
    ] as const)('loses no byte and has none twice in the middle of a stream, by the script %s', async (script) => {
      const served = await serve(script, own, options);
      const { sent, came } = await streamed(
        served,
        { bytes: 2_000_000, chunk: 25_000, every: 8 },
        [engine, other],
        (from, to) => handOver(from, to, served.port, script),
      );
      expect(came).toEqual(sent);
      const end = received(served.upstream);
      served.device.end();
      await end; // close_notify of the device reached the node by one of ours
    });

    it('sends what waits, sealed or not, and what is owed behind it', async () => {
      const { device, connection, port } = await serve('manual', own, options);
      const { bytes, digest: expected } = payload(12_000_000);
      device.pause();
      connection.call('toDevice', new Uint8Array(bytes), 0, bytes.length);
      const { handed, adopted } = await handOver(engine, other, port, 'manual');
      expect(handed.device.waiting.length).toBeGreaterThan(0);
      adopted.call('endDevice', 'flush');
      expect(digest(await received(device))).toBe(expected);
    });

    it('goes on with a record that has come in part', async () => {
      const { device, upstream, port } = await serve('relay', own, options);
      const { bytes, digest: expected } = payload(8_000_000);
      device.write(bytes);
      upstream.pause();
      const handed = await until(async () => {
        const value = await frozen(engine, port);
        if ((value.device.tls as Uint8Array).length > BARE_BYTES) return value;
        await engine.thaw(port);
        return undefined;
      }, 'the beginning of a record');
      await other.adopt(port, 'relay', duplicated(handed));
      await engine.depart(port);
      await other.thaw(port);
      expect(digest(await gathered(upstream, bytes.length))).toBe(expected);
    });
  });

  it('goes on where it was when nobody takes it', async () => {
    const { device, connection, port } = await serve('manual', own);
    const handed = await frozen(engine, port);
    const copies = duplicated(handed);
    const bad = { ...copies, device: { ...copies.device, tls: new Uint8Array(300) } };
    await expect(other.adopt(port, 'manual', bad)).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' });
    await engine.thaw(port);
    device.write('hello');
    expect(await connection.text('deviceData', 5)).toBe('hello');
    connection.write('device', 'answer');
    expect(await firstBytes(device, 6)).toBe('answer');
  });

  it('stays where its records are those of OpenSSL', async () => {
    const { device, connection, port } = await serve('manual', openssl);
    expect(await engine.freeze(port)).toBeUndefined();
    device.write('hello');
    expect(await connection.text('deviceData', 5)).toBe('hello');
  });
}
