import { expect, test } from 'vitest';
import { DIALLED_AGAIN_MS, EventBatch, MAX_BATCH_EVENTS } from '../../../src/data-plane/event-batch.ts';
import type { ThreadEvent } from '../../../src/data-plane/messages.ts';

const dialled = (node: string): ThreadEvent => ({ type: 'dialled', node });
const failed = (node: string): ThreadEvent => ({ type: 'dial-failed', node, failure: 'refused', detail: '' });
const lost = (live: number): ThreadEvent => ({ type: 'link-lost', node: 'a', cause: 'fin', live });

function open() {
  const tasks: (() => void)[] = [];
  const batches: (readonly ThreadEvent[])[] = [];
  const count = { dropped: 0 };
  const clock = { ms: 1000 };
  const batch = new EventBatch(
    (task) => tasks.push(task),
    (events) => batches.push(events),
    () => count.dropped++,
    () => clock.ms,
  );
  const add = (...events: ThreadEvent[]): void => {
    for (const event of events) batch.add(event);
  };
  const turn = (): void => {
    for (const task of tasks.splice(0)) task();
  };
  return { add, turn, batches, count, clock, flush: () => batch.flush() };
}

test('one message for each batch of socket events, in order', () => {
  const { add, turn, batches } = open();
  add(lost(3), lost(2));
  expect(batches).toEqual([]);
  turn();
  add(lost(1));
  turn();
  turn();
  expect(batches).toEqual([[lost(3), lost(2)], [lost(1)]]);
});

test('a node that answers many dials is told of once in a while', () => {
  const { add, turn, batches, clock } = open();
  add(dialled('a'), dialled('b'), dialled('a'));
  turn();
  clock.ms += DIALLED_AGAIN_MS - 1;
  add(dialled('a'));
  turn();
  clock.ms += 1;
  add(dialled('a'));
  turn();
  expect(batches).toEqual([[dialled('a'), dialled('b')], [dialled('a')]]);
});

test('a success behind a failure is told: the order of the two decides health', () => {
  const { add, turn, batches } = open();
  add(dialled('a'), failed('a'), dialled('a'), dialled('a'));
  turn();
  expect(batches).toEqual([[dialled('a'), failed('a'), dialled('a')]]);
});

test('is bounded: what is beyond is counted, and the next batch begins anew', () => {
  const { add, turn, batches, count } = open();
  for (let i = 0; i < MAX_BATCH_EVENTS + 3; i++) add(lost(i));
  add(dialled('a'));
  turn();
  expect([batches[0]?.length, count.dropped]).toEqual([MAX_BATCH_EVENTS, 4]);
  add(dialled('a'));
  turn();
  expect(batches[1]).toEqual([dialled('a')]);
});

test('sends what there is at once when the thread is about to exit, and nothing twice', () => {
  const { add, turn, flush, batches } = open();
  add(lost(1));
  flush();
  turn();
  expect(batches).toEqual([[lost(1)]]);
});
