import { describe, expect, test } from 'vitest';
import { clientIdHash } from '../../../../src/policy/balance/client-id-hash.ts';
import { sourceHash } from '../../../../src/policy/balance/source-hash.ts';
import { deviceKey, first, idle, nodesOf, order, placements } from './support.ts';

const DEVICES = 10_000;

describe.each([
  ['source-hash', sourceHash],
  ['client-id-hash', clientIdHash],
])('%s', (_, strategy) => {
  const place = (set: ReturnType<typeof nodesOf>) => placements(strategy(set, idle()), DEVICES);
  const four = nodesOf(10, 10, 10, 10);
  const before = place(four);

  test('removing one of four nodes moves only its own devices, spread over the rest; its return brings them back', () => {
    const after = place(four.slice(1));
    const moved = before.flatMap((slot, i) => (slot === after[i] ? [] : [i]));
    expect(moved.every((i) => before[i] === 10)).toBe(true);
    expect(moved.length / DEVICES).toBeCloseTo(0.25, 1);
    for (const slot of [11, 12, 13]) {
      const heirs = moved.filter((i) => after[i] === slot).length;
      expect(heirs / moved.length).toBeCloseTo(1 / 3, 1);
    }
    expect(place(four)).toEqual(before);
  });

  test('the second candidate is where the device goes when the first leaves', () => {
    for (let i = 0; i < 200; i++) {
      const [best, next] = order(strategy(four, idle()), deviceKey(i));
      const without = four.filter(({ slot }) => slot !== best);
      expect(first(strategy(without, idle()), deviceKey(i))).toBe(next);
    }
  });

  test('a smaller weight moves devices away from that node only, and no more than the change of its share', () => {
    const after = place(nodesOf(5, 10, 10, 10));
    const moved = before.flatMap((slot, i) => (slot === after[i] ? [] : [i]));
    expect(moved.every((i) => before[i] === 10)).toBe(true);
    expect(moved.length / DEVICES).toBeCloseTo(10 / 40 - 5 / 35, 1.5);
  });

  test('slots and their order mean nothing: proxies agree by node id', () => {
    const elsewhere = four.map((node, i) => ({ ...node, slot: 90 - i })).reverse();
    const id = (set: typeof four, slot: number | undefined) => set.find((node) => node.slot === slot)?.id;
    const ids = place(elsewhere).map((slot) => id(elsewhere, slot));
    expect(ids).toEqual(before.map((slot) => id(four, slot)));
  });
});

test('client-id-hash looks at nothing but the client id', () => {
  const selection = clientIdHash(nodesOf(10, 10, 10, 10), idle());
  const homes = Array.from({ length: 100 }, (_, i) =>
    first(selection, { ...deviceKey(i), clientId: 'meter' }),
  );
  expect(new Set(homes).size).toBe(1);
});

test('source-hash knows an IPv4 device behind a dual-stack listener', () => {
  const selection = sourceHash(nodesOf(10, 10, 10, 10), idle());
  for (let i = 0; i < 100; i++) {
    const { sourceAddress } = deviceKey(i);
    const mapped = { clientId: '', sourceAddress: `::ffff:${sourceAddress}` };
    expect(first(selection, mapped)).toBe(first(selection, deviceKey(i)));
  }
});

test('a placement is a promise between versions: these devices stay where they are', () => {
  expect(placements(clientIdHash(nodesOf(1, 2, 3), idle()), 12)).toMatchInlineSnapshot(`
    [
      11,
      12,
      12,
      12,
      11,
      12,
      12,
      12,
      11,
      11,
      10,
      10,
    ]
  `);
});
