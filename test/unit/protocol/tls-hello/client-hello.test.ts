import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readClientHello } from '../../../../src/protocol/tls-hello/client-hello.ts';
import { MAX_HELLO_BYTES } from '../../../../src/protocol/tls-hello/records.ts';
import { body, extension, message, named, nameOf, records, vector16 } from './hellos.ts';

/** What OpenSSL says first, without a socket. */
function opensslHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const stream = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    connect({ ...options, socket: stream, rejectUnauthorized: false }).on('error', () => undefined);
  });
}

const read = (bytes: Uint8Array) => readClientHello(bytes, 0, bytes.length);
const hello = (serverName?: string) => ({ kind: 'hello', serverName });

describe('a ClientHello of OpenSSL', () => {
  it.each([
    ['TLS 1.3', { servername: 'mqtt.example.com' }, 'mqtt.example.com'],
    ['TLS 1.2', { servername: 'Mqtt.Example.COM', maxVersion: 'TLSv1.2' }, 'mqtt.example.com'],
    ['TLS 1.3 with ALPN', { servername: 'a', ALPNProtocols: ['mqtt'] }, 'a'],
    ['TLS 1.3 without a name', {}, undefined],
  ] as const)('of %s is read, byte by byte', async (_what, options, name) => {
    const bytes = await opensslHello(options as ConnectionOptions);
    for (let end = 0; end < bytes.length; end++)
      expect(readClientHello(bytes, 0, end)).toEqual({ kind: 'incomplete' });
    expect(read(bytes)).toEqual(hello(name));
    const shifted = Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('more')]);
    expect(readClientHello(shifted, 3, shifted.length)).toEqual(hello(name));
  });
});

describe('a ClientHello', () => {
  it('may have no extensions (RFC 5246, 7.4.1.2)', () => {
    expect(read(records(message(body(undefined))))).toEqual(hello());
    expect(read(records(message(body([]))))).toEqual(hello());
  });

  it('may be split over records, and within its own header (RFC 8446, 5.1)', () => {
    const content = message(body([...extension(16, [1]), ...named('a.b'), ...extension(0xfafa, [])]));
    for (let cut = 1; cut < content.length; cut++)
      expect(read(records(content, [cut, cut + 1]))).toEqual(hello('a.b'));
    expect(read(records(content, [...content.keys()].slice(1, 64)))).toEqual(hello('a.b'));
  });

  it.each([
    ['an MQTT CONNECT', [0x10, 12]],
    ['HTTP', [...Buffer.from('GET / HTTP/1.1\r\n')]],
    ['an alert', [21, 3, 1]],
    ['SSL 2', [0x80, 46, 1]],
    ['a version of nothing', [22, 4]],
    ['a record without content', [22, 3, 1, 0, 0]],
    ['a record that is too long', [22, 3, 1, 0x40, 1]],
    ['another message of the handshake', [22, 3, 1, 0, 4, 2]],
    ['a message that is too long', [22, 3, 1, 0, 4, 1, 1, 0, 0]],
  ])('is not %s', (_what, bytes) => {
    expect(read(Uint8Array.from(bytes))).toMatchObject({ kind: 'refused' });
  });

  it.each([
    ['two names', [...named('a'), ...named('b')]],
    ['a name of no letters', named('')],
    ['a name with a zero', named('a\0b')],
    ['a name with a space', named('a b')],
    ['a name of 256 bytes', named('a'.repeat(256))],
    ['a name of another type', extension(0, vector16([1, ...vector16([97])]))],
    ['two names in one list', extension(0, vector16([0, ...vector16([97]), 0, ...vector16([98])]))],
    ['bytes behind the list', extension(0, [...nameOf('a'), 1])],
    ['a name that is cut off', extension(0, vector16([0, 0, 9, 97]))],
    ['an extension that is cut off', [0, 0, 0, 9, 1]],
    ['a part of an extension', [0]],
  ])('with %s is refused', (_what, extensions) => {
    expect(read(records(message(body(extensions))))).toMatchObject({ kind: 'refused' });
  });

  it('is refused where it ends early, or late', () => {
    const whole = body(named('a'));
    const withoutExtensions = body(undefined).length;
    for (let end = 0; end < whole.length; end++) {
      if (end === withoutExtensions) continue;
      expect(read(records(message(whole.slice(0, end))))).toMatchObject({ kind: 'refused' });
    }
    expect(read(records(message([...whole, 0])))).toMatchObject({ kind: 'refused' });
  });

  it('is bounded', () => {
    const room = MAX_HELLO_BYTES - records(message(body(extension(21, [])))).length;
    const padded = (length: number) => records(message(body(extension(21, Array(length).fill(0)))));
    expect(read(padded(room))).toEqual(hello());
    expect(read(padded(room + 1))).toMatchObject({ kind: 'refused' });
    const content = message(body(named('a-name-that-is-not-short.example.org')));
    const inRecords = (count: number) => records(content, [...content.keys()].slice(1, count));
    expect(read(inRecords(64)).kind).toBe('hello');
    expect(read(inRecords(65))).toMatchObject({
      kind: 'refused',
      detail: 'a ClientHello in more than 64 records',
    });
  });
});

describe('any bytes', () => {
  const anyExtension = fc
    .tuple(fc.integer({ min: 1, max: 0xffff }), fc.array(fc.nat({ max: 255 }), { maxLength: 40 }))
    .map(([type, content]) => extension(type, content));
  const anyName = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,30})$/);

  it('that are a ClientHello give its name, however they are split and cut', () => {
    const around = fc.tuple(
      fc.array(anyExtension, { maxLength: 4 }),
      fc.array(anyExtension, { maxLength: 4 }),
    );
    const cuts = fc.array(fc.nat({ max: 300 }), { maxLength: 6 });
    fc.assert(
      fc.property(around, anyName, cuts, fc.nat({ max: 400 }), ([before, behind], name, at, end) => {
        const bytes = records(message(body([...before.flat(), ...named(name), ...behind.flat()])), at);
        expect(read(bytes)).toEqual(hello(name));
        const part = readClientHello(bytes, 0, Math.min(end, bytes.length - 1));
        expect(part).toEqual({ kind: 'incomplete' });
      }),
    );
  });

  it('that are changed anywhere throw nothing, and give a name or a refusal that no more bytes change', () => {
    const change = fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(anyName, change, (name, changes) => {
        const bytes = records(message(body([...extension(5, [1, 2]), ...named(name)])));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        let settled: unknown;
        for (let end = 0; end <= bytes.length; end++) {
          const result = readClientHello(bytes, 0, end);
          if (settled !== undefined) expect(result).toEqual(settled);
          else if (result.kind !== 'incomplete') settled = result;
        }
      }),
    );
  });

  it('of pure chance throw nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['incomplete', 'hello', 'refused', 'other']).toContain(read(bytes).kind);
      }),
    );
  });
});
