import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { connect as dialTls } from 'node:tls';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeProxyV1, encodeProxyV2 } from '../../src/protocol/proxy-protocol/encode.ts';
import type { ProxyProtocolOptions } from '../../src/protocol/proxy-protocol/expect.ts';
import { tlvType } from '../../src/protocol/proxy-protocol/tlv.ts';
import { createAuthority, tlsOptions } from '../support/certificates.ts';
import { engineScene } from '../support/engine-scene.ts';
import { type EngineUnderTest, type RemoteConnection, startEngine } from '../support/engine-under-test.ts';
import { endOf, type FakeNode, firstBytes, received } from '../support/fake-node.ts';
import { until } from '../support/wait.ts';
import { headerV2 } from '../unit/protocol/proxy-protocol/headers.ts';
import '../support/seed.ts';
import type { EngineName } from '../../src/engine/engine.ts';

const here: ProxyProtocolOptions = { mode: 'require', trusted: ['127.0.0.0/8'], timeoutMs: 20_000 };
const elsewhere = ['192.0.2.0/24'];
const destination = { address: '198.51.100.1', port: 1883 };

/** What an engine promises of the header that a proxy before it sends, over real sockets. */
export function headerContract(name: EngineName): void {
  let engine: EngineUnderTest;
  let node: FakeNode;
  const sockets = engineScene(
    () => engine,
    (fresh) => {
      node = fresh;
    },
  );
  let listeners = 0;
  /** Of the devices that headers tell of: the engine's reports go by it. */
  let devicePort = 50_000;

  beforeAll(async () => {
    engine = await startEngine({ engine: name, highWaterBytes: 65_536 });
  });

  const listen = (headers: Partial<ProxyProtocolOptions> = {}) =>
    engine.listen('127.0.0.1', 0, ++listeners, undefined, { ...here, ...headers });

  async function open(port: number): Promise<Socket> {
    const socket = dial({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  const source = () => ({ address: '203.0.113.7', port: ++devicePort });
  const told = (port: number): RemoteConnection => engine.connection(port);
  const lastRefusal = () => engine.headersRefused.at(-1);

  describe('taken', () => {
    it.each([
      ['version 1', encodeProxyV1],
      ['version 2', encodeProxyV2],
    ])('in %s, names the device, and is none of its bytes', async (_version, encode) => {
      const { port } = await listen();
      const device = source();
      const socket = await open(port);
      socket.write(Buffer.concat([encode({ source: device, destination }), Buffer.from('hello')]));
      const connection = told(device.port);
      expect(await connection.told('accepted')).toEqual([listeners, device.address]);
      expect(await connection.text('deviceData', 5)).toBe('hello');
      expect(await engine.peerFacts(device.port)).toMatchObject({ destination });
      connection.write('device', 'answer');
      expect(await firstBytes(socket, 6)).toBe('answer');
      socket.end();
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      connection.call('endDevice', 'flush');
      expect(await connection.told('closed')).toEqual([5, 6]);
    });

    it('in pieces, of which the last brings the first of the device', async () => {
      const { port } = await listen();
      const device = source();
      const socket = await open(port);
      const port16 = (value: number) => [value >> 8, value & 255];
      const ends = [203, 0, 113, 7, 198, 51, 100, 1, ...port16(device.port), ...port16(destination.port)];
      const header = headerV2(0x21, 0x11, [...ends, 0xe0, ...port16(900), ...Array(900).fill(0)]);
      for (let at = 0; at < header.length - 1; at += 90) {
        socket.write(header.subarray(at, Math.min(header.length - 1, at + 90)));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      socket.write(Buffer.concat([header.subarray(header.length - 1), Buffer.from('h')]));
      const connection = told(device.port);
      expect(await connection.told('accepted')).toEqual([listeners, device.address]);
      expect(await connection.text('deviceData', 1)).toBe('h');
      socket.write('i'); // a single byte is told, too
      expect(await connection.text('deviceData', 2)).toBe('hi');
      socket.end();
      expect(await connection.told('deviceEnded')).toEqual(['fin']);
      connection.call('endDevice', 'flush');
      await connection.told('closed');
    });

    it('in part only, and then an end', async () => {
      const { port } = await listen();
      const socket = await open(port);
      socket.write(encodeProxyV2({ source: source(), destination }).subarray(0, 20));
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.end();
      expect(await endOf(socket)).toBeDefined();
    });

    it('keeps the vectors, also of types that nobody knows', async () => {
      const { port } = await listen();
      const device = source();
      const chained = [{ type: 0xe5, value: Uint8Array.of(1, 2, 3) }];
      (await open(port)).write(
        encodeProxyV2({ source: device, destination, uniqueId: Buffer.from('u-1'), chained }),
      );
      await told(device.port).told('accepted');
      const { tlvs = [] } = await engine.peerFacts(device.port);
      const byType = new Map(tlvs.map(({ type, value }) => [type, Buffer.from(value).toString('latin1')]));
      expect(byType.get(0xe5)).toBe('\x01\x02\x03');
      expect(byType.get(tlvType.uniqueId)).toBe('u-1');
    });

    it('however it is split', async () => {
      const { port } = await listen();
      for (const encode of [encodeProxyV1, encodeProxyV2]) {
        const device = source();
        const socket = await open(port);
        for (const byte of [...encode({ source: device, destination }), ...Buffer.from('hello')]) {
          await new Promise((sent) => socket.write(Uint8Array.of(byte), sent));
        }
        expect(await told(device.port).text('deviceData', 5)).toBe('hello');
      }
    });

    it('in any pieces, before any bytes, to the byte', async () => {
      const { port } = await listen();
      const anyCuts = fc.array(fc.nat({ max: 200 }), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(fc.boolean(), fc.string({ minLength: 1 }), anyCuts, async (isV1, text, cuts) => {
          const device = source();
          const payload = Buffer.from(text, 'latin1');
          const header = (isV1 ? encodeProxyV1 : encodeProxyV2)({ source: device, destination });
          const bytes = Buffer.concat([header, payload]);
          const socket = await open(port);
          const ends = [...new Set([...cuts.filter((cut) => cut < bytes.length), bytes.length])];
          let at = 0;
          for (const end of ends.sort((a, b) => a - b)) {
            await new Promise((sent) => socket.write(bytes.subarray(at, end), sent));
            at = end;
          }
          socket.end();
          const connection = told(device.port);
          expect(await connection.text('deviceData', payload.length)).toBe(payload.toString('latin1'));
          expect(await connection.told('deviceEnded')).toEqual(['fin']);
          connection.call('endDevice', 'reset');
        }),
        { numRuns: 40 },
      );
    });

    it.each([
      ['LOCAL (2.2)', headerV2(0x20, 0, [])],
      ['UNKNOWN (2.1)', encodeProxyV1({ source: undefined, destination: undefined })],
      ['an unspecified family (2.2)', headerV2(0x21, 0, [])],
    ])('for %s leaves the addresses as they are', async (_what, header) => {
      const { port } = await listen();
      const socket = await open(port);
      socket.write(Buffer.concat([header, Buffer.from('hello')]));
      const connection = told(socket.localPort as number);
      expect(await connection.told('accepted')).toEqual([listeners, '127.0.0.1']);
      expect(await connection.text('deviceData', 5)).toBe('hello');
    });

    it('before TLS', async () => {
      const authority = createAuthority('headers');
      const certificate = authority.issue({ cn: 'localhost', names: 'DNS:localhost' });
      const tls = tlsOptions([certificate]);
      const { port } = await engine.listen('127.0.0.1', 0, ++listeners, tls, here);
      for (const together of [true, false]) {
        const device = source();
        const socket = await open(port);
        const connection = told(device.port);
        const header = encodeProxyV2({ source: device, destination });
        socket.cork();
        socket.write(header);
        if (!together) {
          socket.uncork();
          await connection.told('accepted');
        }
        const secure = dialTls({ socket, servername: 'localhost', ca: authority.cert });
        secure.on('error', () => undefined);
        socket.uncork();
        await once(secure, 'secureConnect');
        secure.write('hello');
        expect(await connection.text('deviceData', 5)).toBe('hello');
        expect(await engine.peerTls(device.port)).toMatchObject({ serverName: 'localhost' });
        connection.call('endDevice', 'reset');
        expect(await connection.told('closed')).toEqual([5, 0]);
      }
    });

    it('before a relay', async () => {
      await engine.script('relay', node.target);
      const { port } = await listen();
      const socket = await open(port);
      socket.end(Buffer.concat([encodeProxyV2({ source: source(), destination }), Buffer.from('hello')]));
      const upstream = await node.link();
      sockets.push(upstream);
      upstream.end('answer');
      expect((await received(upstream)).toString()).toBe('hello');
      expect((await received(socket)).toString()).toBe('answer');
    });
  });

  describe('refused', () => {
    const broken = Buffer.from(encodeProxyV2({ source: { address: '203.0.113.7', port: 1 }, destination }));
    broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 0xff, broken.length - 1);

    it.each([
      ['none', Buffer.from([0x10, 12, 0, 4]), 'no-header'],
      ['one of TLS', Buffer.from([0x16, 3, 1, 0, 5]), 'no-header'],
      ['a broken one', Buffer.from('PROXY TCP4 nonsense\r\n'), 'malformed'],
      ['a wrong checksum', broken, 'checksum'],
      ['one that is too long', headerV2(0x21, 0x11, [], 0xffff), 'too-long'],
    ] as const)('where one is required, %s is reset', async (_what, bytes, refusal) => {
      const { port } = await listen();
      const socket = await open(port);
      const ended = endOf(socket);
      socket.write(bytes);
      expect(await ended).toBe('ECONNRESET');
      await until(() => lastRefusal()?.[0] === refusal, `the refusal ${refusal}`);
      expect(lastRefusal()).toEqual([refusal, '127.0.0.1']);
    });

    it('is whoever is not trusted, before it says anything', async () => {
      const { port } = await listen({ trusted: elsewhere });
      expect(await endOf(dial(port, '127.0.0.1'))).toBe('ECONNRESET');
      await until(() => lastRefusal()?.[0] === 'untrusted', 'the refusal');
    });

    it('is whoever owes it for too long', async () => {
      const { port } = await listen({ timeoutMs: 50 });
      const socket = await open(port);
      const ended = endOf(socket);
      socket.write('PROXY TCP4 ');
      expect(await ended).toBe('ECONNRESET');
      await until(() => lastRefusal()?.[0] === 'timeout', 'the refusal');
    });

    it.each([
      ['without a word', ''],
      ['in the middle of it', 'PROXY TCP4 '],
    ])('is nobody who leaves %s', async (_, begun) => {
      const { port } = await listen();
      const before = engine.headersRefused.length;
      const socket = await open(port);
      const ended = endOf(socket);
      socket.end(begun);
      expect(['ECONNRESET', 'fin', 'closed']).toContain(await ended);
      expect(engine.headersRefused.length).toBe(before);
    });
  });

  describe('accepted where it is not required', () => {
    it('from a trusted proxy', async () => {
      const { port } = await listen({ mode: 'accept' });
      const device = source();
      (await open(port)).write(encodeProxyV1({ source: device, destination }));
      expect(await told(device.port).told('accepted')).toEqual([listeners, device.address]);
    });

    it('from nobody else: a header that a device forges is its own bytes', async () => {
      const { port } = await listen({ mode: 'accept', trusted: elsewhere });
      const socket = await open(port);
      const forged = encodeProxyV1({ source: source(), destination });
      socket.write(forged);
      const connection = told(socket.localPort as number);
      expect(await connection.told('accepted')).toEqual([listeners, '127.0.0.1']);
      expect(await connection.text('deviceData', forged.length)).toBe(Buffer.from(forged).toString('latin1'));
    });

    it('and bytes that are none are the trusted one’s own', async () => {
      const { port } = await listen({ mode: 'accept' });
      const socket = await open(port);
      const connection = told(socket.localPort as number);
      socket.write(Uint8Array.of(0x10));
      await connection.told('accepted');
      socket.write('hello');
      expect(await connection.text('deviceData', 6)).toBe('\x10hello');
    });
  });

  it('is owed no longer when the listener closes', async () => {
    const { port } = await listen();
    const other = await listen();
    const socket = await open(port);
    const later = await open(other.port);
    const ended = endOf(socket);
    await engine.unlisten(listeners - 1);
    expect(await ended).not.toBe('fin');
    const device = source();
    later.write(encodeProxyV1({ source: device, destination }));
    await told(device.port).told('accepted');
  });

  it('is expected as the listener was told last', async () => {
    const { port } = await listen();
    await engine.updateProxyProtocol(listeners, { ...here, trusted: elsewhere });
    expect(await endOf(dial(port, '127.0.0.1'))).toBe('ECONNRESET');
    await engine.updateProxyProtocol(listeners);
    const socket = await open(port);
    socket.write('hello');
    expect(await told(socket.localPort as number).text('deviceData', 5)).toBe('hello');
  });

  it('is asked of no other listener', async () => {
    await listen();
    const { device, connection } = await engine.connect();
    sockets.push(device);
    device.write('PROXY is what I say');
    expect(await connection.text('deviceData', 19)).toBe('PROXY is what I say');
  });
}
