import fc from 'fast-check';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { isRetryable, peekConnack } from '../../../../src/protocol/mqtt/connack.ts';

const v3 = (returnCode: number, sessionPresent = false) =>
  generate({ cmd: 'connack', returnCode, sessionPresent });
const v5 = (reasonCode: number, reasonString: string) =>
  generate(
    { cmd: 'connack', reasonCode, sessionPresent: true, properties: { reasonString } },
    { protocolVersion: 5 },
  );

test.each<[string, Buffer, number, number, boolean]>([
  ['3.1.1 accepted', v3(0, true), 4, 0, true],
  ['3.1.1 refused', v3(5), 4, 5, false],
  ['5.0 accepted, long properties', v5(0, 'x'.repeat(300)), 5, 0, true],
  ['5.0 refused', v5(0x89, 'busy'), 4, 0x89, true],
])('CONNACK one byte at a time: %s', (_, packet, needed, code, sessionPresent) => {
  const bytes = Buffer.concat([Buffer.of(0xff), packet]);
  for (let length = 0; length < needed; length++) {
    expect(peekConnack(bytes, 1, 1 + length)).toEqual({ kind: 'incomplete' });
  }
  const expected = { kind: 'connack', code, sessionPresent, end: bytes.length };
  expect(peekConnack(bytes, 1, 1 + needed)).toEqual(expected);
  expect(peekConnack(bytes, 1, bytes.length)).toEqual(expected);
});

test.each<[string, Uint8Array]>([
  ['text', Buffer.from('HTTP/1.1 400')],
  ['reserved header flags [MQTT-2.2.2-2]', Uint8Array.of(0x21, 2, 0, 0)],
  ['reserved acknowledge flags [MQTT-3.2.2-1]', Uint8Array.of(0x20, 2, 2, 0)],
  ['a body too short for a code', Uint8Array.of(0x20, 1, 0)],
  ['a remaining length of five bytes', Uint8Array.of(0x20, 0x80, 0x80, 0x80, 0x80)],
])('not a CONNACK: %s', (_, bytes) => {
  expect(peekConnack(bytes, 0, bytes.length)).toEqual({ kind: 'other' });
});

test('any bytes: never throws, what is around makes no difference, an answer stays the answer', () => {
  const likely = fc.uint8Array({ maxLength: 8 }).map((rest) => Uint8Array.of(0x20, ...rest));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 8 }), likely), (bytes) => {
      const whole = peekConnack(bytes, 0, bytes.length);
      for (let length = 0; length < bytes.length; length++) {
        const piece = peekConnack(bytes, 0, length);
        expect(peekConnack(bytes.slice(0, length), 0, length)).toEqual(piece);
        if (piece.kind !== 'incomplete') expect(piece).toEqual(whole);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('the next node is tried when the refusal speaks of the node, not of the device', () => {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  expect(codes.filter((code) => isRetryable(3, code))).toEqual([3]);
  expect(codes.filter((code) => isRetryable(4, code))).toEqual([3]);
  expect(codes.filter((code) => isRetryable(5, code))).toEqual([0x88, 0x89, 0x8b, 0x9c, 0x9d, 0x9f]);
});

test('AUTH: the node goes on with an enhanced authentication (MQTT 5 clause 4.12)', () => {
  expect(peekConnack(Uint8Array.of(0xf0, 2, 0x18, 0), 0, 4)).toEqual({ kind: 'auth' });
});
