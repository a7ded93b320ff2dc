import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  INCOMPLETE,
  isMinimalVarint,
  MALFORMED,
  varintEnd,
  varintValue,
} from '../../../../src/protocol/mqtt/varint.ts';

/** The encoder of the standard's own pseudo code (MQTT 5.0 clause 1.5.5). */
function encode(value: number): number[] {
  const bytes: number[] = [];
  let x = value;
  do {
    const byte = x % 128;
    x = Math.floor(x / 128);
    bytes.push(x > 0 ? byte + 128 : byte);
  } while (x > 0);
  return bytes;
}

test('decodes what the standard encodes, one byte at a time, at any offset', () => {
  const edges = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455].map(
    (value) => [value] as [number],
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 268_435_455 }), (value) => {
      const encoded = encode(value);
      const bytes = Uint8Array.of(0xff, ...encoded, 0xff);
      for (let end = 1; end <= encoded.length; end++) expect(varintEnd(bytes, 1, end)).toBe(INCOMPLETE);
      const behind = varintEnd(bytes, 1, bytes.length);
      expect(behind).toBe(1 + encoded.length);
      expect(varintValue(bytes, 1, behind)).toBe(value);
      expect(isMinimalVarint(bytes, 1, behind)).toBe(true);
    }),
    { examples: edges },
  );
});

test('a fifth byte is malformed, known at the fourth', () => {
  expect(varintEnd(Uint8Array.of(0x80, 0x80, 0x80, 0x80), 0, 4)).toBe(MALFORMED);
});

test('an encoding that is longer than it must be is told apart [MQTT-1.5.5-1]', () => {
  const bytes = Uint8Array.of(0x81, 0x80, 0x00);
  expect(varintValue(bytes, 0, varintEnd(bytes, 0, 3))).toBe(1);
  expect(isMinimalVarint(bytes, 0, 3)).toBe(false);
});
