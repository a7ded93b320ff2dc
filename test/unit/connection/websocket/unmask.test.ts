import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unmask } from '../../../../src/connection/websocket/unmask.ts';

test('takes the key off wherever the payload lies, and touches nothing else', () => {
  const piece = fc.record({
    payload: fc.uint8Array({ maxLength: 300 }),
    before: fc.nat(9),
    shift: fc.nat(9),
    key: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    offset: fc.nat(10_000),
  });
  fc.assert(
    fc.property(piece, ({ payload, before, shift, key, offset }) => {
      const memory = new Uint8Array(shift + before + payload.length + 8).fill(0xa5);
      const bytes = memory.subarray(shift);
      bytes.set(payload, before);
      const end = before + payload.length;
      unmask(bytes, before, end, Buffer.from(key).readUInt32BE(), offset);
      expect([...bytes.subarray(before, end)]).toEqual(
        [...payload].map((byte, i) => byte ^ (key[(offset + i) % 4] as number)),
      );
      bytes.fill(0xa5, before, end);
      expect(memory.every((byte) => byte === 0xa5)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
