import { beforeEach, expect, test } from 'vitest';
import { HandshakeSlots } from '../../../src/engine/handshake-slots.ts';

let nowMs = 0;
const clock = { now: () => nowMs };
let gone: number[];
let slots: HandshakeSlots<number>;
beforeEach(() => {
  gone = [];
  slots = new HandshakeSlots(10, clock, (handshake) => gone.push(handshake));
});

/** Takes slots from so many sources; which of them got one. */
const takeFrom = (count: number, first = 0) =>
  Array.from({ length: count }, (_, i) => slots.take(first + i, `192.0.2.${first + i}`));

test('one source has at most half of them, and another one the rest', () => {
  const taken = Array.from({ length: 10 }, (_, i) => slots.take(i, '192.0.2.1'));
  expect(taken.filter(Boolean)).toHaveLength(5);
  expect(slots.take(20, '192.0.2.2')).toBe(true);
  slots.release(0);
  expect(slots.take(21, '192.0.2.1')).toBe(true);
});

test('all of a /64 are one source, and an IPv4 address is the same in either form', () => {
  for (let i = 0; i < 5; i++) expect(slots.take(i, `2001:db8::${i + 1}`)).toBe(true);
  expect(slots.take(5, '2001:db8::ffff')).toBe(false);
  expect(slots.take(6, '2001:db8:0:1::1')).toBe(true);
  for (let i = 10; i < 14; i++)
    expect(slots.take(i, { remoteAddress: '192.0.2.1', ipv4: 0xc0000201 })).toBe(true);
  expect(slots.take(14, '2001:db8:0:2::1'), 'all are taken').toBe(false);
});

test('where there is no room the oldest gives way, once it has taken three seconds', () => {
  expect(takeFrom(10)).toEqual(Array(10).fill(true));
  nowMs += 2_999;
  expect(takeFrom(1, 10)).toEqual([false]);
  nowMs += 1;
  expect(takeFrom(3, 10)).toEqual([true, true, true]);
  expect(gone).toEqual([0, 1, 2]);
});

test('a slot that is released is free, and released once only', () => {
  takeFrom(10);
  slots.release(4);
  slots.release(4);
  expect(takeFrom(2, 10)).toEqual([true, false]);
  expect(gone).toEqual([]);
});
