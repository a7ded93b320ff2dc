import { expect, test } from 'vitest';
import { hash32, mix32 } from '../../../../src/policy/balance/hash.ts';

test('is MurmurHash3 x86_32 over UTF-16LE, by its published vectors', () => {
  expect(hash32('')).toBe(0);
  expect(hash32('', 1)).toBe(0x514e28b7);
  expect(hash32('', 0xffffffff)).toBe(0x81f16f39);
  expect(hash32('\u4321\u8765')).toBe(0xf55b516b); // bytes 21 43 65 87
  expect(hash32('\u4321\u8765', 0x5082edee)).toBe(0x2362f9de);
  expect(hash32('\u4321')).toBe(0xa0f7b07a); // bytes 21 43
  expect(hash32('\0\0')).toBe(0x2362f9de);
  expect(hash32('\0')).toBe(0x30f4c306);
});

test('flipping any one input bit flips about half of the output bits', () => {
  for (let bit = 0; bit < 32; bit++) {
    let flipped = 0;
    for (let i = 0; i < 1000; i++) {
      const value = Math.imul(i, 0x9e3779b1);
      for (let d = mix32(value) ^ mix32(value ^ (1 << bit)); d !== 0; d &= d - 1) flipped++;
    }
    expect(flipped / 32_000).toBeGreaterThan(0.45);
    expect(flipped / 32_000).toBeLessThan(0.55);
  }
});
