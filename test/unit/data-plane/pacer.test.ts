import { expect, test } from 'vitest';
import { createPacer } from '../../../src/data-plane/pacer.ts';

const MIN_MS = 20;

function stage(random = 0) {
  const stage = {
    nowMs: 1_000,
    turn: (_slot: number, _rate: number): number => 0,
    queue: (_slot: number, _rate: number, _most: number): number | undefined => 0,
  };
  const pacer = createPacer(
    () => stage.nowMs,
    () => random,
  );
  stage.turn = pacer.turn;
  stage.queue = pacer.queue;
  return stage;
}

test('even the first turn waits, at random: word of a device that came back elsewhere must arrive before', () => {
  expect(stage(0).turn(0, 100)).toBe(MIN_MS);
  expect(stage(0.5).turn(0, 100)).toBe(40);
  expect(stage(1).turn(0, 100)).toBe(60);
});

test('turns at one node follow at its rate, each node for itself (rule 20)', () => {
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

test('new devices go at once up to a tenth of a second’s worth, and then in turn', () => {
  const { queue } = stage();
  const waits = Array.from({ length: 14 }, () => queue(0, 100, 1_000));
  expect(waits).toEqual([...new Array(11).fill(0), 10, 20, 30]);
  expect(queue(1, 100, 1_000)).toBe(0);
});

test('a queue that is full takes nobody until one has gone', () => {
  const pacer = stage();
  const waits = Array.from({ length: 20 }, () => pacer.queue(0, 100, 3));
  expect(waits.filter((wait) => wait !== undefined)).toHaveLength(11 + 3);
  pacer.nowMs += 10;
  expect([pacer.queue(0, 100, 3), pacer.queue(0, 100, 3)]).toEqual([30, undefined]);
});

test('moves and new devices have turns of their own', () => {
  const { turn, queue } = stage();
  for (let i = 0; i < 1_000; i++) turn(0, 100);
  expect(queue(0, 100, 10)).toBe(0);
});
