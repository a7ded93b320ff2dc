import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RememberedSessions } from '../../../src/membership/remembered-sessions.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import { readSubscriptions, Subscriptions } from '../../../src/session/subscriptions.ts';
import { fakeTime } from '../../support/fake-time.ts';

// One device comes and goes through several data threads. Each thread speaks by its own port: its words stay in order, and those
// of two threads are heard in any order. What the last connection is told does not depend on it.

const FILTERS = ['a', 'b', 'c'] as const;
/** A word may be late by less than this, and nothing is lost. */
const ORDERED_MS = 100;
/** Numbers of connections begin anew behind 2^32. */
const FIRST = 0xffff_fffe;
const client = { pool: 'p', clientId: 'd', who: 7 };

interface Life {
  readonly thread: number;
  /** The session begins with it: the device asked for a new one. */
  readonly begins: boolean;
  /** Filters that it subscribes and unsubscribes. */
  readonly changes: readonly (readonly [filter: number, isWanted: boolean])[];
  /** Its end is heard of by its thread when the next one is open already. */
  readonly isTakenOver: boolean;
  /** A node owed it an answer, so nobody knows what it has. */
  readonly isUnknown: boolean;
}

interface Word {
  readonly thread: number;
  readonly connection: number;
  say(memory: RememberedSessions): void;
}

function textOf(filters: Iterable<string>): string {
  const all = new Subscriptions();
  for (const filter of filters) all.set({ filter: Buffer.from(filter), options: 0, identifier: 0 });
  return all.text;
}

function filtersOf(text: string): string {
  const filters = Array.from(readSubscriptions(text) ?? [], ({ filter }) => Buffer.from(filter).toString());
  return filters.sort().join();
}

/** What the connection leaves. `before` is what the session has, as far as anybody can know; undefined: unknown. */
function leave({ begins, changes, isUnknown }: Life, before: Set<string> | undefined) {
  const subscribed = new Set<string>();
  const unsubscribed = new Set<string>();
  for (const [at, isWanted] of changes) {
    const filter = FILTERS[at] as string;
    if (isWanted) subscribed.add(filter);
    else subscribed.delete(filter);
    if (!isWanted) unsubscribed.add(filter);
  }
  const rest = isUnknown
    ? { subscriptions: undefined, unsubscribed: undefined }
    : { subscriptions: textOf(subscribed), unsubscribed: begins ? undefined : textOf(unsubscribed) };
  if (isUnknown || (!begins && before === undefined)) return { rest, after: undefined };
  const kept = begins ? [] : [...(before ?? [])].filter((filter) => !unsubscribed.has(filter));
  return { rest, after: new Set([...kept, ...subscribed]) };
}

/** What is said of all lives but the first and the last, in the order in which it happens, and what the last one is to be told. */
function play(lives: readonly Life[]): { words: Word[]; truth: string | undefined } {
  const words: Word[] = [];
  let known: Set<string> | undefined;
  let delayed: Word | undefined;
  for (const [i, life] of lives.entries()) {
    const [connection, { thread }] = [(FIRST + i) >>> 0, life];
    const opened = { ...client, connection, isResumed: !life.begins };
    words.push({ thread, connection, say: (memory) => memory.opened(opened, thread) });
    if (delayed !== undefined) words.push(delayed);
    delayed = undefined;
    if (i === lives.length - 1) break;
    const { rest, after } = leave(life, known);
    known = after;
    const left = { ...client, connection, ...rest, ttlMs: 60_000 };
    const word = { thread, connection, say: (memory: RememberedSessions) => memory.left(left) };
    if (life.isTakenOver) delayed = word;
    else words.push(word);
  }
  return { words, truth: lives.at(-1)?.begins ? undefined : known && [...known].sort().join() };
}

class Field {
  told: string | undefined;
  private readonly time = fakeTime();
  readonly pass = this.time.pass;
  readonly memory: RememberedSessions;

  constructor(last: number) {
    this.memory = new RememberedSessions({
      start: 'one',
      store: new MemoryStore(this.time.clock),
      recalled: (_, connection, text) => {
        if (connection === last) this.told = filtersOf(text);
      },
      forgotten: () => {},
      clock: this.time.clock,
      timers: this.time.timers,
    });
  }
}

/**
 * @param order whose turn it is: a number for each word, which chooses among the threads that have something left to say
 * @param pauses before each word, in ms
 */
async function hear(lives: readonly Life[], order: readonly number[], pauses: readonly number[]) {
  const { words, truth } = play(lives);
  const field = new Field((FIRST + lives.length - 1) >>> 0);
  const [first, ...others] = words;
  first?.say(field.memory); // it has been there for long
  await field.pass(20_000);
  const queues = [0, 1, 2].map((thread) => others.filter((word) => word.thread === thread));
  for (let i = 0; i < others.length; i++) {
    if ((pauses[i] ?? 0) > 0) await field.pass(pauses[i] ?? 0);
    const speaking = queues.filter(({ length }) => length > 0);
    speaking[(order[i] ?? 0) % speaking.length]?.shift()?.say(field.memory);
  }
  await field.pass(20_000);
  return { told: field.told, truth };
}

const life = fc.record<Life>({
  thread: fc.nat(2),
  begins: fc.boolean(),
  changes: fc.array(fc.tuple(fc.nat(2), fc.boolean()), { maxLength: 3 }),
  isTakenOver: fc.boolean(),
  isUnknown: fc.nat(9).map((one) => one === 0),
});
const resumed = life.map((one) => ({ ...one, begins: false, isUnknown: false }));
const lives = fc
  .tuple(life, fc.array(fc.oneof({ weight: 4, arbitrary: resumed }, life), { maxLength: 4 }), resumed)
  .map(([first, middle, last]) => [{ ...first, begins: true }, ...middle, last]);
const order = fc.array(fc.nat(2), { minLength: 12, maxLength: 12 });
const pausesBelow = (ms: number) => fc.array(fc.nat(ms), { minLength: 12, maxLength: 12 });
const numRuns = Number(process.env.RUNS ?? 500);

test('in whatever order threads are heard, the last connection is told what the session has', async () => {
  let told = 0;
  const pauses = fc.oneof(fc.constant([]), pausesBelow(Math.floor((ORDERED_MS - 1) / 12)));
  await fc.assert(
    fc.asyncProperty(lives, order, pauses, async (all, turns, waits) => {
      const heard = await hear(all, turns, waits);
      if (heard.told !== undefined) told++;
      expect(heard.told).toBe(heard.truth);
    }),
    { numRuns },
  );
  expect(told).toBeGreaterThan(numRuns / 4);
});

test('where a thread is slower than that, the last connection is told the same, or nothing', async () => {
  await fc.assert(
    fc.asyncProperty(lives, order, pausesBelow(80), async (all, turns, waits) => {
      const { told, truth } = await hear(all, turns, waits);
      if (told !== undefined) expect(told).toBe(truth);
    }),
    { numRuns },
  );
});

test('a connection that leaves before the one that it took over is heard of loses nothing', async () => {
  const one = { begins: false, isTakenOver: false, isUnknown: false };
  const heard = await hear(
    [
      {
        ...one,
        thread: 0,
        begins: true,
        changes: [
          [0, true],
          [1, true],
        ],
      },
      {
        ...one,
        thread: 1,
        changes: [
          [1, false],
          [2, true],
        ],
      },
      { ...one, thread: 0, changes: [] },
    ],
    [1, 1, 0, 0],
    [],
  );
  expect(heard).toEqual({ told: 'a,c', truth: 'a,c' });
});
