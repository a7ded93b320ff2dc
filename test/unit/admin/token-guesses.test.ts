import { expect, test } from 'vitest';
import { createTokenGuesses } from '../../../src/admin/token-guesses.ts';

function guesses() {
  const clock = { at: 0, now: () => clock.at };
  return { clock, ...createTokenGuesses(clock) };
}

test('twenty at once, and then one a second', () => {
  const { clock, heldFor, wrong } = guesses();
  let tried = 0;
  for (let ms = 0; ms < 60_000; ms += 10) {
    clock.at = ms;
    if (heldFor('192.0.2.1') > 0) continue;
    wrong('192.0.2.1');
    tried++;
  }
  expect(tried).toBeLessThanOrEqual(20 + 60);
  expect(heldFor('192.0.2.1')).toBe(1);
  expect(heldFor('192.0.2.2')).toBe(0);
  clock.at += 1_000;
  expect(heldFor('192.0.2.1')).toBe(0);
});

test('hosts of one IPv6 network are one source', () => {
  const { heldFor, wrong } = guesses();
  for (let host = 1; host <= 20; host++) wrong(`2001:db8:0:1::${host.toString(16)}`);
  expect(heldFor('2001:db8:0:1:ffff::1')).toBe(1);
  expect(heldFor('2001:db8:0:2::1')).toBe(0);
});

test('however many sources there are, the newest are remembered', () => {
  const { heldFor, wrong } = guesses();
  const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  for (let i = 0; i < 100_000; i++) wrong(address(i));
  for (let i = 0; i < 20; i++) wrong(address(99_999));
  expect(heldFor(address(99_999))).toBeGreaterThan(0);
});
