import { expect, test } from 'vitest';
import type { TurnEnd, TurnTaker } from '../../../src/connection/turn-queue.ts';
import type { Target } from '../../../src/connection/wire.ts';
import { ReattachTurns } from '../../../src/data-plane/reattach-turns.ts';

/** As a node answers one question: how long it works at it, in ms. */
interface Broker {
  /** For the network, both ways together. */
  readonly wayMs: number;
  /** For one CONNECT; a broker does one after the other. */
  readonly workMs: (nowMs: number) => number;
  /** So many CONNECTs may wait there; the others are answered that it is busy. */
  readonly room?: number;
}

const BEAT_MS = 500;

/**
 * A broker that has one processor, which also does what other devices want, and sessions that are to be asked for there,
 * over some threads. Time is simulated.
 */
class Scene {
  nowMs = 0;
  readonly threads: readonly ReattachTurns[];
  private readonly broker: Broker;
  private readonly events: { readonly atMs: number; readonly run: () => void }[] = [];
  /** When the broker has done all that it has been given. */
  private freeAtMs = 0;
  private inside = 0;
  /** CONNECTs that were refused come again, as from `SessionUpstream`. */
  refused = 0;
  mostInside = 0;
  readonly doneAtMs: number[] = [];
  /** What another device's packet would have taken, looked at every millisecond. */
  readonly othersMs: number[] = [];

  constructor(broker: Broker, threads = 1) {
    this.broker = broker;
    this.threads = Array.from({ length: threads }, () => new ReattachTurns(() => this.nowMs, threads));
  }

  at(ms: number, run: () => void): void {
    this.events.push({ atMs: this.nowMs + ms, run });
    this.events.sort((a, b) => a.atMs - b.atMs);
  }

  /** So many sessions, all within 40 ms. */
  lose(count: number): Session[] {
    return Array.from({ length: count }, (_, i) => {
      const turns = this.threads[i % this.threads.length] as ReattachTurns;
      const session = new Session(this, turns);
      this.at((40 * i) / count, () => session.enter());
      return session;
    });
  }

  connect(answer: (end: TurnEnd) => void): void {
    const { wayMs, workMs, room = Number.POSITIVE_INFINITY } = this.broker;
    if (this.inside >= room) {
      this.refused++;
      return this.at(wayMs, () => answer('busy'));
    }
    this.mostInside = Math.max(this.mostInside, ++this.inside);
    const beginsAtMs = Math.max(this.freeAtMs, this.nowMs + wayMs / 2);
    this.freeAtMs = beginsAtMs + workMs(beginsAtMs);
    this.at(this.freeAtMs - this.nowMs + wayMs / 2, () => {
      this.inside--;
      answer('answered');
    });
  }

  run(ms: number): this {
    const endMs = this.nowMs + ms;
    const beat = () => {
      for (const each of this.threads) each.beat();
      if (this.nowMs < endMs) this.at(BEAT_MS, beat);
    };
    const look = () => {
      this.othersMs.push(
        this.broker.wayMs + Math.max(0, this.freeAtMs - this.nowMs) + this.broker.workMs(this.nowMs),
      );
      if (this.nowMs < endMs) this.at(1, look);
    };
    beat();
    look();
    while (this.events[0] !== undefined && this.events[0].atMs <= endMs) {
      const { atMs, run } = this.events.shift() as (typeof this.events)[0];
      this.nowMs = atMs;
      run();
    }
    this.nowMs = endMs;
    return this;
  }
}

class Session implements TurnTaker {
  readonly target = { nodeId: 'b', slot: 1 } as Target;
  beganAtMs: number | undefined;
  elsewhere = 0;
  private readonly scene: Scene;
  private readonly turns: ReattachTurns;

  constructor(scene: Scene, turns: ReattachTurns) {
    this.scene = scene;
    this.turns = turns;
  }

  enter(): void {
    this.turns.enter(this);
  }

  begin(): void {
    this.beganAtMs = this.scene.nowMs;
    this.scene.connect((end) => this.ends(end));
  }

  leave(end: TurnEnd): void {
    this.turns.leave(this, end);
  }

  ends(end: TurnEnd): void {
    this.leave(end);
    if (end === 'answered') this.scene.doneAtMs.push(this.scene.nowMs);
    else this.scene.at(250, () => this.enter());
  }

  goElsewhere(): void {
    this.elsewhere++;
  }
}

const part = (times: readonly number[], share: number) =>
  times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1] ?? Number.NaN;

/** While sessions were asked for. */
const othersDuring = ({ othersMs, doneAtMs }: Scene, share: number) =>
  part(othersMs.slice(0, Math.ceil(doneAtMs.at(-1) ?? 0)), share);

test.each([1, 2, 4])('a fast broker has all within a moment of their coming, over %d threads', (threads) => {
  const scene = new Scene({ wayMs: 0.4, workMs: () => 0.2 }, threads);
  scene.lose(667);
  scene.run(5_000);
  expect(scene.doneAtMs).toHaveLength(667);
  expect(scene.doneAtMs.at(-1)).toBeLessThan(667 * 0.2 + 20); // it is never idle
  expect(othersDuring(scene, 0.99)).toBeLessThan(8);
});

test('one that is far away is not asked one by one', () => {
  const scene = new Scene({ wayMs: 30, workMs: () => 0.2 });
  scene.lose(333);
  scene.run(5_000);
  expect(scene.doneAtMs).toHaveLength(333);
  expect(scene.doneAtMs.at(-1)).toBeLessThan(300);
});

test('a slow broker is kept busy, and serves its other devices in at most twice its time', () => {
  const scene = new Scene({ wayMs: 1, workMs: () => 10 });
  scene.lose(333);
  scene.run(10_000);
  expect(scene.doneAtMs).toHaveLength(333);
  expect(scene.doneAtMs.at(-1)).toBeLessThan(333 * 10 * 1.1);
  expect(othersDuring(scene, 0.5)).toBeLessThanOrEqual(2 * (1 + 10));
  expect(scene.mostInside).toBeLessThan(8); // of 333
});

test('a broker that becomes slower is asked less, one that becomes faster more', () => {
  const scene = new Scene({ wayMs: 1, workMs: (nowMs) => (nowMs > 200 && nowMs < 2_200 ? 20 : 0.5) });
  scene.lose(1_000);
  const [before, slow, after] = [200, 2_000, 300].map((ms) => {
    const had = scene.doneAtMs.length;
    scene.mostInside = 0;
    scene.run(ms);
    return { most: scene.mostInside, done: scene.doneAtMs.length - had };
  });
  expect(before?.done).toBeGreaterThan(300);
  expect(slow?.most).toBeLessThan(20);
  expect(slow?.done).toBeGreaterThan(90); // of 100: it is kept busy
  expect(after?.done).toBeGreaterThan(300);
});

test('a broker that stalls is soon asked very little, but never nothing, and all have their turn when it goes on', () => {
  const untilMs = 20_000;
  const scene = new Scene({
    wayMs: 1,
    workMs: (nowMs) => (nowMs > 60 && nowMs < untilMs ? untilMs - nowMs : 0.5),
  });
  const sessions = scene.lose(600);
  scene.run(5_000);
  const asked = () => sessions.filter(({ beganAtMs }) => beganAtMs !== undefined).length;
  const before = asked();
  scene.run(10_000);
  expect(asked() - before).toBeGreaterThanOrEqual(5);
  expect(asked() - before).toBeLessThanOrEqual(20);
  scene.run(10_000);
  expect(scene.doneAtMs).toHaveLength(600);
});

test('a broker that says that it is busy is asked less', () => {
  const scene = new Scene({ wayMs: 1, workMs: () => 1, room: 3 });
  scene.lose(333);
  scene.run(10_000);
  expect(scene.doneAtMs).toHaveLength(333);
  expect(scene.refused).toBeLessThan(40);
});

test('first come, first served', () => {
  const scene = new Scene({ wayMs: 1, workMs: () => 2 });
  const sessions = scene.lose(200);
  scene.run(5_000);
  const begins = sessions.map(({ beganAtMs }) => beganAtMs);
  expect(begins).toEqual(begins.toSorted((a, b) => Number(a) - Number(b)));
});

test('each node has a line of its own', () => {
  const turns = new ReattachTurns(() => 0, 1);
  const begun: number[] = [];
  const taker = (slot: number): TurnTaker => ({
    target: { nodeId: `${slot}`, slot } as Target,
    begin: () => begun.push(slot),
    goElsewhere: () => {},
  });
  for (let i = 0; i < 100; i++) turns.enter(taker(1));
  const before = begun.length;
  turns.enter(taker(2));
  expect(before).toBeLessThan(10);
  expect(begun.at(-1)).toBe(2);
});

test('when a node is gone, all who wait there are told once; who has nowhere to go keeps its place', () => {
  const scene = new Scene({ wayMs: 1, workMs: () => 60_000 });
  const sessions = scene.lose(20);
  scene.run(100);
  const [one, two] = sessions.filter(({ beganAtMs }) => beganAtMs !== undefined) as [Session, Session];
  one.leave('gone');
  two.leave('gone');
  const waited = sessions.filter(({ beganAtMs }) => beganAtMs === undefined || beganAtMs >= 100);
  expect(waited.map(({ elsewhere }) => elsewhere)).toEqual(waited.map(() => 1));
  sessions.at(-1)?.leave('left');
  for (const each of sessions.slice(0, -1)) each.leave('answered');
  expect(sessions.filter(({ beganAtMs }) => beganAtMs === undefined)).toEqual([sessions.at(-1)]);
});

test('what was learned of a node is forgotten some time after it was asked last', () => {
  const scene = new Scene({ wayMs: 1, workMs: (nowMs) => (nowMs < 5_000 ? 0.5 : 100) });
  scene.lose(100);
  scene.run(4_000);
  scene.run(20_000);
  scene.mostInside = 0;
  scene.lose(100);
  scene.run(1);
  expect(scene.mostInside).toBeLessThanOrEqual(4);
});
