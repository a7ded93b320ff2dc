import { expect, test } from 'vitest';
import { DIALLED_AGAIN_MS, EventBatch, MAX_BATCH_EVENTS } from '../../../src/data-plane/event-batch.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';

const dialled = (node: string): WorkerEvent => ({ type: 'dialled', node });
const failed = (node: string): WorkerEvent => ({ type: 'dial-failed', node, failure: 'refused', detail: '' });
const told = (node: string): WorkerEvent => ({
  type: 'recall',
  request: 1,
  pool: 'p',
  clientId: node,
});
const lost = (device: number, more: object = {}): WorkerEvent => ({
  ...{ type: 'link-lost', node: 'a', devices: [device], had: 9, askedAtMs: undefined },
  ...more,
});

function open() {
  const tasks: (() => void)[] = [];
  const batches: (readonly WorkerEvent[])[] = [];
  const count = { dropped: 0 };
  const clock = { ms: 1000 };
  const batch = new EventBatch(
    (task) => tasks.push(task),
    (events) => batches.push(events),
    () => count.dropped++,
    () => clock.ms,
  );
  const add = (...events: WorkerEvent[]): void => {
    for (const event of events) batch.add(event);
  };
  const turn = (): void => {
    for (const task of tasks.splice(0)) task();
  };
  return { add, turn, batches, count, clock, flush: () => batch.flush() };
}

test('one message for each batch of socket events, in order', () => {
  const { add, turn, batches } = open();
  add(told('a'), told('b'));
  expect(batches).toEqual([]);
  turn();
  add(told('c'));
  turn();
  turn();
  expect(batches).toEqual([[told('a'), told('b')], [told('c')]]);
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
  for (let i = 0; i < MAX_BATCH_EVENTS + 3; i++) add(told(`${i}`));
  add(dialled('a'));
  turn();
  expect([batches[0]?.length, count.dropped]).toEqual([MAX_BATCH_EVENTS, 4]);
  add(dialled('a'));
  turn();
  expect(batches[1]).toEqual([dialled('a')]);
});

test('takeovers are one event, however many there are, and none is dropped', () => {
  const { add, turn, batches, count } = open();
  for (let i = 0; i <= MAX_BATCH_EVENTS; i++) add({ type: 'taken-over', clients: [i] });
  turn();
  add({ type: 'taken-over', clients: [7] });
  turn();
  expect(count.dropped).toBe(0);
  expect(batches.map((batch) => batch.length)).toEqual([1, 1]);
  expect(batches[0]).toMatchObject([{ clients: { length: MAX_BATCH_EVENTS + 1 } }]);
  expect(batches[1]).toEqual([{ type: 'taken-over', clients: [7] }]);
});

test('sends what there is at once when the thread is about to exit, and nothing twice', () => {
  const { add, turn, flush, batches } = open();
  add(told('a'));
  flush();
  turn();
  expect(batches).toEqual([[told('a')]]);
});

test('links that a node loses are one event a batch, with what the first found and the last asked', () => {
  const { add, turn, batches } = open();
  add(lost(1), lost(2, { had: 8, askedAtMs: 5 }), lost(3, { node: 'b' }), lost(4, { had: 7, askedAtMs: 6 }));
  add(lost(5, { had: 6 }));
  turn();
  add(lost(6));
  turn();
  expect(batches).toEqual([
    [lost(1, { devices: [1, 2, 4, 5], askedAtMs: 6 }), lost(3, { node: 'b' })],
    [lost(6)],
  ]);
});

test('a lost link is told however full the batch is: a session waits for the answer', () => {
  const { add, turn, batches } = open();
  for (let i = 0; i < MAX_BATCH_EVENTS; i++) add(told('a'));
  add(lost(1, { askedAtMs: 1 }), lost(2, { askedAtMs: 2 }));
  turn();
  expect(batches[0]?.at(-1)).toEqual(lost(1, { devices: [1, 2], askedAtMs: 2 }));
});

test('what is said of sessions is never dropped: a full batch is sent first', () => {
  const { add, turn, batches, count } = open();
  for (let i = 0; i < MAX_BATCH_EVENTS; i++) add(told(`${i}`));
  const session = { pool: 'p', clientId: 'd', who: 0, connection: 1 };
  add({ type: 'session-opened', ...session, isResumed: true }, told('after'));
  turn();
  expect(batches.map((batch) => batch.length)).toEqual([MAX_BATCH_EVENTS, 2]);
  expect(count.dropped).toBe(0);
});
