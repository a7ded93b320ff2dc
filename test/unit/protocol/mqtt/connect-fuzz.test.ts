import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ConnectResult, decodeConnect } from '../../../../src/protocol/mqtt/connect.ts';
import { connectPacket, connectShape } from './packets.ts';

const MAX = 250;

/** Bytes that begin like a CONNECT, so that chance alone gets beyond the first checks. */
const likeConnect = fc
  .tuple(
    fc.constantFrom([0, 4, 0x4d, 0x51, 0x54, 0x54, 4], [0, 4, 0x4d, 0x51, 0x54, 0x54, 5], [0, 4], []),
    fc.uint8Array({ maxLength: 60 }),
    fc.integer({ min: 0, max: 80 }),
  )
  .map(([head, rest, length]) => Uint8Array.of(0x10, length, ...head, ...rest));

/** A valid packet with a few bytes changed, cut and lengthened. */
const mutated = fc
  .tuple(
    connectShape.map(connectPacket),
    fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    fc.integer({ min: 0, max: 600 }),
    fc.uint8Array({ maxLength: 5 }),
  )
  .map(([packet, changes, keep, tail]) => {
    const bytes = Uint8Array.from([...packet.subarray(0, Math.max(keep, 12)), ...tail]);
    for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
    return bytes;
  });

/** Client id of no length without clean session, which chance does not find. */
const emptyClientId = fc.constant(Uint8Array.of(0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 60, 0, 0));

const anyBytes = fc.oneof(
  emptyClientId,
  fc.uint8Array({ maxLength: 40 }),
  likeConnect,
  mutated,
  connectShape.map((shape) => new Uint8Array(connectPacket(shape))),
);

/** A large packet is refused before its version may be known: with or without a reply, as the bytes come. */
const settled = (result: ConnectResult) =>
  result.kind === 'refused' && result.fault === 'too-large' ? { ...result, reply: undefined } : result;

test('random and mutated bytes: never throws, and pieces lead where the whole leads', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const whole = decodeConnect(bytes, 0, bytes.length, MAX);
      for (let length = 0; length <= bytes.length; length++) {
        const piece = decodeConnect(bytes, 0, length, MAX);
        if (piece.kind === 'incomplete' && length < bytes.length) continue;
        expect(settled(piece)).toEqual(settled(whole));
        return;
      }
    }),
    { numRuns: 3_000 },
  );
});

test('what stands around [start, end) makes no difference, wherever it is cut', () => {
  const around = fc.uint8Array({ minLength: 1, maxLength: 9 });
  const cut = fc.oneof(fc.nat(16), fc.constant(Number.POSITIVE_INFINITY));
  fc.assert(
    fc.property(anyBytes, cut, around, around, (uncut, length, before, after) => {
      const bytes = uncut.subarray(0, length);
      const bare = decodeConnect(bytes.slice(), 0, bytes.length, MAX);
      const start = before.length;
      const framed = decodeConnect(Buffer.concat([before, bytes, after]), start, start + bytes.length, MAX);
      expect(framed).toEqual(bare.kind === 'connect' ? { ...bare, end: bare.end + start } : bare);
    }),
    { numRuns: 3_000 },
  );
});

test('the mutations reach every outcome, so that the two tests above mean something', () => {
  const seen = new Set<string>();
  for (const bytes of fc.sample(anyBytes, { numRuns: 5_000, seed: 1 })) {
    const result = decodeConnect(bytes, 0, bytes.length, MAX);
    seen.add(result.kind === 'refused' ? result.fault : result.kind);
  }
  expect([...seen].sort()).toEqual(
    ['connect', 'incomplete', 'malformed', 'not-mqtt', 'protocol-version', 'too-large'].sort(),
  );
});
