import { expect, test } from 'vitest';
import { createPacer } from '../../../src/data-plane/pacer.ts';

const MIN_MS = 20;

function stage(random = 0) {
  const stage = { nowMs: 1_000, turn: (_slot: number, _rate: number): number => 0 };
  const pacer = createPacer(
    () => stage.nowMs,
    () => random,
  );
  stage.turn = pacer.turn;
  return stage;
}

test('even the first turn waits, at random: word of a device that came back elsewhere must arrive before', () => {
  expect(stage(0).turn(0, 100)).toBe(MIN_MS);
  expect(stage(0.5).turn(0, 100)).toBe(40);
  expect(stage(1).turn(0, 100)).toBe(60);
});

test('turns at one node follow at its rate, each node for itself', () => {
  const { turn } = stage();
  expect([turn(0, 100), turn(0, 100), turn(0, 100)]).toEqual([MIN_MS, MIN_MS + 10, MIN_MS + 20]);
  expect(turn(1, 100)).toBe(MIN_MS);
});

test('time that nobody used is not saved up', () => {
  const pacer = stage();
  pacer.turn(0, 100);
  pacer.nowMs += 60_000;
  expect([pacer.turn(0, 100), pacer.turn(0, 100)]).toEqual([MIN_MS, MIN_MS + 10]);
});

test('in any second no more turns begin at a node than its rate allows, and one', () => {
  const pacer = stage(0.7);
  const begins: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    begins.push(pacer.nowMs + pacer.turn(3, 500));
    if (i % 7 === 0) pacer.nowMs += 3;
  }
  const inOneSecond = begins.map((from) => begins.filter((at) => at >= from && at < from + 1_000).length);
  expect(Math.max(...inOneSecond)).toBeLessThanOrEqual(501);
  expect(begins.length).toBe(2_000);
});
