import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { createFaults, guardThread } from '../../../src/data-plane/worker-faults.ts';
import type { Report } from '../../../src/data-plane-api/messages.ts';

function scene() {
  const reports: Report[] = [];
  return { reports, faults: createFaults((report) => reports.push(report)) };
}
const fail = (): never => {
  throw new Error('broken');
};

test('a command that fails is told, and answered where an answer is owed', async () => {
  const { reports, faults } = scene();
  faults.carryOut({ type: 'verbose', on: true }, fail);
  faults.carryOut({ type: 'recalled', request: 1, node: undefined }, fail); // is an answer itself
  faults.carryOut({ type: 'listen', request: 2, listeners: [] }, async () => fail());
  faults.carryOut({ type: 'unlisten', request: 3, listeners: [] }, () => true);
  await Promise.resolve();
  expect(reports).toMatchObject([
    { type: 'fault', where: 'command verbose', message: 'broken', stack: expect.stringContaining('broken') },
    { type: 'fault', where: 'command recalled' },
    { type: 'fault', where: 'command listen' },
    { type: 'failed', request: 2, code: 'INTERNAL', message: 'broken' },
  ]);
});

test('a thread that does little but fail is ended, and no other', () => {
  const { reports, faults } = scene();
  const thread = new EventEmitter();
  const ends: number[] = [];
  let nowMs = 0;
  guardThread(
    faults,
    () => nowMs,
    () => ends.push(nowMs),
    thread,
  );
  for (let i = 0; i < 40; i++, nowMs += 600) thread.emit('uncaughtException', new Error('seldom'));
  expect([ends, reports.length]).toEqual([[], 40]);
  nowMs += 10_000;
  for (let i = 0; i < 20; i++, nowMs += 10) thread.emit('unhandledRejection', 'often');
  expect(ends).toHaveLength(1);
  expect(reports.at(-1)).toMatchObject({ type: 'fault', where: 'a thread', message: 'often' });
});
