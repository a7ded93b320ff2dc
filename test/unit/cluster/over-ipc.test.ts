import { EventEmitter } from 'node:events';
import type { MQEmitter } from 'mqemitter';
import { expect, test } from 'vitest';
import type { Membership } from '../../../cluster/cluster.ts';
import { inMemoryCluster } from '../../../cluster/in-memory.ts';
import { serveChild } from '../../../cluster/over-ipc.ts';

/** What the parent does for a child that is not well; that brokers work over it is tested with brokers. */

interface Sent {
  readonly answer?: number;
  readonly error?: string;
  readonly news?: { readonly topic: string };
}

/** A child that reads as long as `reads` says so. */
async function child() {
  const cluster = inMemoryCluster();
  const sent: Sent[] = [];
  const state = { reads: true, behind: 0 };
  const end = Object.assign(new EventEmitter(), {
    connected: true,
    send(message: Sent, done: () => void) {
      sent.push(message);
      if (state.reads) done();
    },
  });
  serveChild(end, await cluster.join(), () => {
    state.behind += 1;
  });
  const ask = (call: number, method: string, ...args: unknown[]) =>
    end.emit('message', { call, method, args });
  const other: Membership = await cluster.join();
  return { end, sent, state, ask, bus: other.mq };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const emit = (bus: MQEmitter, topic: string) =>
  new Promise<void>((resolve) =>
    bus.emit({ topic, cmd: 'publish', payload: '', qos: 0, retain: false } as never, () => resolve()),
  );

test('a message that two of its filters match is told once', async () => {
  const { ask, sent, bus } = await child();
  ask(1, 'listen', 'a/#');
  ask(2, 'listen', 'a/b');
  await settled();
  await emit(bus, 'a/b');
  await emit(bus, 'c');
  expect(sent.filter(({ news }) => news !== undefined).map(({ news }) => news?.topic)).toEqual(['a/b']);
});

test('a child that stands still holds up nobody, and is given up once 10,000 messages wait for it', async () => {
  const { ask, state, bus } = await child();
  ask(1, 'listen', '#');
  await settled();
  state.reads = false;
  for (let n = 1; n < 10_000; n++) await emit(bus, 't');
  expect(state.behind).toBe(0);
  await emit(bus, 't');
  await emit(bus, 't');
  expect(state.behind).toBe(1);
});

test('what is no method of a store is refused', async () => {
  const { ask, sent } = await child();
  ask(7, 'constructor');
  ask(8, 'destroy');
  await settled();
  expect(sent).toEqual([
    { answer: 7, error: 'no method constructor' },
    { answer: 8, error: 'no method destroy' },
  ]);
});

test('a child that has ended is told nothing more', async () => {
  const { ask, end, sent, bus } = await child();
  ask(1, 'listen', '#');
  await settled();
  end.emit('exit');
  await settled(); // the bus takes a listener away a moment later
  await emit(bus, 't');
  expect(sent.filter(({ news }) => news !== undefined)).toEqual([]);
});
