import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RememberedSessions } from '../../../src/membership/remembered-sessions.ts';
import { MemoryStore } from '../../../src/membership/store/memory.ts';
import { readSubscriptions, Subscriptions } from '../../../src/session/subscriptions.ts';
import { fakeTime } from '../../support/fake-time.ts';

// One device, which changes its subscriptions through one proxy and another, comes back before it has left, and is told
// nothing but the truth: what it is subscribed to at the broker. Proxies are slow, die, and cannot reach the store.

const FILTERS = ['a', 'b', 'c'] as const;
type Filter = (typeof FILTERS)[number];
/** A proxy is slow by less than what is waited for its word. */
const SLOWEST_MS = 900;

function textOf(filters: Iterable<string>): string {
  const all = new Subscriptions();
  for (const filter of filters) all.set({ filter: Buffer.from(filter), options: 0, identifier: 0 });
  return all.text;
}

function filtersOf(text: string): string[] {
  return Array.from(readSubscriptions(text) ?? [], ({ filter }) => Buffer.from(filter).toString());
}

/** One store and its proxies, with a clock of their own. */
class Field {
  /** What the broker has. */
  truth: Set<string> | undefined;
  recalls = 0;
  private isAway = false;
  private slowestMs = 0;
  readonly lies: string[] = [];
  private readonly time = fakeTime();
  readonly pass = this.time.pass;
  private readonly store = new MemoryStore(this.time.clock);
  private connections: Link[] = [];
  private starts = 0;

  private proxies = ['one', 'two'].map((id) => this.start(id));

  private start(id: string) {
    const state = { delayMs: 0, isDead: false };
    let turn: Promise<void> = Promise.resolve();
    /** In order, as one connection to Redis has it. */
    const reach = <T>(work: () => Promise<T>): Promise<T> => {
      const waited = new Promise<void>((resolve) => this.time.timers.setTimeout(resolve, state.delayMs));
      turn = turn.then(() => waited);
      return turn.then(() => {
        if (state.isDead) return new Promise<never>(() => {});
        if (this.isAway) throw new Error('away');
        return work();
      });
    };
    const memory = new RememberedSessions({
      start: `${id}${this.starts++}`,
      store: {
        takeSession: (...args) => reach(() => this.store.takeSession(...args)),
        keepSession: (...args) => reach(() => this.store.keepSession(...args)),
      },
      recalled: (_, number, text) => {
        if (!state.isDead) this.connections[number]?.recall(text);
      },
      forgotten: () => {},
      clock: this.time.clock,
      timers: this.time.timers,
    });
    return { id, state, memory };
  }

  get newest(): Link | undefined {
    return this.connections.at(-1);
  }

  /** It takes a device longer to come back than its proxy to say that it was there: what it says after that may be late. */
  async connect(at: number, isAnew: boolean): Promise<void> {
    await this.pass(this.slowestMs + 1);
    const proxy = this.proxies[at] as Proxied;
    const isResumed = this.truth !== undefined && !isAnew;
    if (!isResumed) this.truth = new Set();
    this.connections.push(new Link(this, proxy, this.connections.length, isResumed));
  }

  /** It leaves, and comes back in order. */
  async return(at: number, ms: number): Promise<void> {
    for (const link of this.connections) if (!link.hasLeft) link.leave();
    await this.connect(at, false);
    await this.pass(ms);
  }

  /** The oldest that has not left. */
  leave(isNewestToo: boolean): void {
    const oldest = this.connections.find((link) => !link.hasLeft);
    if (oldest !== undefined && (isNewestToo || oldest !== this.newest)) oldest.leave();
  }

  slow(at: number, delayMs: number): void {
    (this.proxies[at] as Proxied).state.delayMs = delayMs;
    this.slowestMs = Math.max(this.slowestMs, delayMs);
  }

  /** From all proxies, or back: one that alone cannot reach it is not seen by the others (decision 15). */
  async away(): Promise<void> {
    this.isAway = !this.isAway;
    if (!this.isAway) for (const { memory } of this.proxies) memory.closeMissed();
    await this.pass(SLOWEST_MS + 1);
  }

  /** Not while it cannot reach the store: what it owes then nobody else knows (decision 15). */
  async die(at: number): Promise<void> {
    const proxy = this.proxies[at] as Proxied;
    await this.pass(SLOWEST_MS + 1);
    if (this.isAway) return;
    proxy.state.isDead = true;
    for (const link of this.connections) if (link.proxy === proxy) link.hasLeft = true;
    this.proxies[at] = this.start(proxy.id);
  }
}

type Proxied = Field['proxies'][number];

/** A connection as its data thread knows it. */
class Link {
  hasLeft = false;
  readonly proxy: Proxied;
  private readonly field: Field;
  private readonly who = { pool: 'p', clientId: 'd', who: 0 };
  private readonly number: number;
  private isKnown: boolean;
  private subscribed = new Set<string>();
  private unsubscribed = new Set<string>();

  constructor(field: Field, proxy: Proxied, number: number, isResumed: boolean) {
    this.field = field;
    this.proxy = proxy;
    this.number = number;
    this.isKnown = !isResumed;
    proxy.memory.opened({ ...this.who, connection: number, isResumed }, 0);
  }

  change(filter: Filter, isWanted: boolean): void {
    if (this.hasLeft) return;
    if (isWanted) this.field.truth?.add(filter);
    else this.field.truth?.delete(filter);
    if (isWanted) this.subscribed.add(filter);
    else this.subscribed.delete(filter);
    if (!isWanted && !this.isKnown) this.unsubscribed.add(filter);
  }

  recall(text: string): void {
    if (this.hasLeft || this.isKnown) return;
    for (const filter of filtersOf(text)) if (!this.unsubscribed.has(filter)) this.subscribed.add(filter);
    this.isKnown = true;
    if (this !== this.field.newest) return; // the broker has ended it
    this.field.recalls++;
    const told = [...this.subscribed].sort().join();
    const truth = [...(this.field.truth ?? [])].sort().join();
    if (told !== truth) this.field.lies.push(`connection ${this.number} believes ${told}, and has ${truth}`);
  }

  leave(): void {
    this.hasLeft = true;
    const unsubscribed = this.isKnown ? undefined : textOf(this.unsubscribed);
    const left = { subscriptions: textOf(this.subscribed), unsubscribed, ttlMs: 3_600_000 };
    this.proxy.memory.left({ ...this.who, connection: this.number, ...left });
  }
}

const at = fc.constantFrom(0, 1);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant('return'), at, fc.constantFrom(0, 50, 3_000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('connect'), at, fc.integer({ min: 0, max: 9 })) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('change'), fc.constantFrom(0, 1, 2), fc.constantFrom(0, 1)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('leave'), fc.constantFrom(0, 1), fc.constant(0)) },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant('pass'), fc.constantFrom(1, 1_000, 3_000, 10_000), fc.constant(0)),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('slow'), at, fc.integer({ min: 0, max: SLOWEST_MS })) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('away', 'die'), at, fc.constant(0)) },
);

async function take(field: Field, [what, first, second]: [string, number, number]): Promise<void> {
  if (what === 'connect') await field.connect(first, second === 0);
  if (what === 'return') await field.return(first, second);
  if (what === 'change') field.newest?.change(FILTERS[first] as Filter, second === 1);
  if (what === 'leave') field.leave(first === 1);
  if (what === 'pass') await field.pass(first);
  if (what === 'slow') field.slow(first, second);
  if (what === 'away') await field.away();
  if (what === 'die') await field.die(first);
}

/** The session began while the store was away, and the word of its first connection comes when the second one has asked. */
const beganWhileAway: [string, number, number][] = [
  ...([
    ['away', 0, 0],
    ['return', 0, 0],
    ['connect', 0, 1],
    ['away', 0, 0],
    ['change', 0, 1],
    ['pass', 1, 0],
  ] as const),
  ...([
    ['return', 0, 0],
    ['return', 0, 0],
    ['change', 2, 0],
    ['leave', 0, 0],
    ['pass', 1, 0],
    ['return', 0, 0],
  ] as const),
].map(([what, first, second]) => [what, first, second]);

test('whatever happens, no connection is told of a subscription that is not there, or not told of one that is', async () => {
  let recalls = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const field = new Field();
      for (const each of steps) await take(field, each);
      await field.pass(10_000);
      recalls += field.recalls;
      expect(field.lies).toEqual([]);
    }),
    { numRuns: Number(process.env.RUNS ?? 200), examples: [[beganWhileAway]] },
  );
  expect(recalls).toBeGreaterThan(50);
});
