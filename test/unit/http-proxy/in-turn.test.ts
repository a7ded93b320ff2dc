import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { InTurn } from '../../../src/http-proxy/in-turn.ts';

const socket = () => new PassThrough();
const response = () => new EventEmitter() as unknown as ServerResponse;

test('a request is served when the answers before it have ended, in order', () => {
  const inTurn = new InTurn();
  const connection = socket();
  const served: number[] = [];
  const answers = Array.from({ length: 1_500 }, response);
  for (const [i, answer] of answers.entries()) inTurn.run(connection, answer, () => served.push(i));
  expect(served).toEqual([0]);
  for (const [i, answer] of answers.entries()) {
    answer.emit('close');
    expect(served).toHaveLength(Math.min(i + 2, 1_500));
  }
  expect(served).toEqual(answers.map((_, i) => i));
  expect(inTurn.isBusy(connection)).toBe(false);
});

test('connections do not wait for each other', () => {
  const inTurn = new InTurn();
  const served: string[] = [];
  inTurn.run(socket(), response(), () => served.push('a'));
  inTurn.run(socket(), response(), () => served.push('b'));
  expect(served).toEqual(['a', 'b']);
});

test('who sends more than may wait is cut off, and nothing more is served', () => {
  const inTurn = new InTurn();
  const connection = socket();
  const first = response();
  let served = 0;
  for (let i = 0; i <= 4_097; i++) inTurn.run(connection, i === 0 ? first : response(), () => served++);
  expect(connection.destroyed).toBe(true);
  first.emit('close');
  expect(served).toBe(1);
});
