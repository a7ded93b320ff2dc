import { expect, test } from 'vitest';
import { Watchdog } from '../../../src/data-plane/watchdog.ts';
import { AT, BEAT, BEGAN, LONGEST, PULSE_DOUBLES } from '../../../src/engine/pulse.ts';

const LOOK_MS = 500;

/** Two threads that the test plays, and the clock. */
class Scene {
  readonly told: string[] = [];
  readonly pulses = [new Float64Array(PULSE_DOUBLES), new Float64Array(PULSE_DOUBLES)];
  readonly watchdog: Watchdog;
  nowMs = 10_000;

  constructor() {
    this.watchdog = new Watchdog({
      pulses: this.pulses,
      now: () => this.nowMs,
      silent: (thread, connection, ms) => this.told.push(`${thread} silent for ${ms} at ${connection}`),
      answers: (thread, ms) => this.told.push(`${thread} answers after ${ms}`),
      lost: (thread, ms) => this.told.push(`${thread} lost after ${ms}`),
    });
  }

  set(thread: number, word: number, value: number): void {
    (this.pulses[thread] as Float64Array)[word] = value;
  }

  beat(...threads: number[]): void {
    for (const thread of threads) this.set(thread, BEAT, this.nowMs);
  }

  look(): string[] {
    this.nowMs += LOOK_MS;
    this.watchdog.look();
    return this.told.splice(0);
  }
}

test('a thread that gives no sign of life for a second is told once, with the connection that it is at', () => {
  const scene = new Scene();
  scene.beat(0, 1);
  scene.set(1, AT, 17);
  expect(scene.look()).toEqual([]);
  scene.beat(0);
  expect(scene.look()).toEqual(['1 silent for 1000 at 17']);
  expect(scene.watchdog.silentThreads).toEqual([1]);
  scene.beat(0);
  expect(scene.look()).toEqual([]);
  scene.beat(0, 1);
  expect(scene.look()).toEqual(['1 answers after 1500']);
  expect(scene.watchdog.silentThreads).toEqual([]);
});

test('a thread that is not there gives none, and is not expected to', () => {
  const scene = new Scene();
  scene.beat(0);
  expect(scene.look()).toEqual([]);
  expect(scene.look()).toEqual(['0 silent for 1000 at 0']);
  scene.set(0, BEAT, 0); // it has died
  expect(scene.look()).toEqual([]);
  expect(scene.watchdog.silentThreads).toEqual([]);
});

test('who was away itself holds nothing against the others', () => {
  const scene = new Scene();
  scene.beat(0, 1);
  expect(scene.look()).toEqual([]);
  scene.nowMs += 20_000; // the process was stopped
  expect(scene.look()).toEqual([]);
  scene.beat(0);
  expect(scene.look()).toEqual(['1 silent for 21500 at 0']);
});

test('a thread that is silent for half a minute of looks is lost, which is told once; time without looks does not count', () => {
  const scene = new Scene();
  scene.beat(0, 1);
  scene.look();
  const lookOn = (looks: number): string[] =>
    Array.from({ length: looks }, () => {
      scene.beat(0);
      return scene.look();
    }).flat();
  expect(lookOn(1)).toEqual(['1 silent for 1000 at 0']);
  expect(lookOn(30)).toEqual([]);
  scene.nowMs += 3_600_000; // the machine was asleep
  expect(lookOn(29)).toEqual([]);
  expect(lookOn(1)).toEqual(['1 lost after 3631000']);
  expect(lookOn(100)).toEqual([]);
});

test('the longest turn is that of the last minute, or the one that is under way', () => {
  const scene = new Scene();
  const longest = () => scene.watchdog.longestTurns().map(({ thread, seconds }) => `${thread}: ${seconds}`);
  expect(longest()).toEqual([]);
  scene.beat(0, 1);
  scene.set(0, LONGEST, 80);
  expect(longest()).toEqual(['0: 0.08', '1: 0']);
  scene.look();
  expect(scene.pulses[0]?.[LONGEST]).toBe(0);
  scene.set(0, LONGEST, 5);
  scene.set(1, BEGAN, scene.nowMs);
  scene.nowMs += 2000;
  expect(longest()).toEqual(['0: 0.08', '1: 2']);
  scene.set(1, BEGAN, 0);
  for (let i = 0; i < 30_000 / LOOK_MS; i++) scene.look();
  expect(longest()).toEqual(['0: 0.08', '1: 0']);
  for (let i = 0; i < 60_000 / LOOK_MS; i++) scene.look();
  expect(longest()).toEqual(['0: 0', '1: 0']);
});
