import { type Profiler, Session } from 'node:inspector';
import { expect } from 'vitest';

/**
 * Counts what code does instead of how long it takes: each block of `src/` that V8 executes, as its precise coverage has
 * them, and each byte that a built-in moves or looks at. Production code knows nothing of it.
 *
 * Blocks are counted in code that is compiled from here on: this file is a setup file of the tests that need it.
 */
const ours = `${process.cwd()}/src/`;
const inspector = new Session();
inspector.connect();
post('Profiler.enable');
post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

function post(method: string, params: object = {}): unknown {
  let answer: unknown;
  inspector.post(method, params, (error, result) => {
    if (error !== null) throw error;
    answer = result;
  });
  return answer;
}

let bytes = 0;

type Sized = { readonly length: number };
type Method = (this: Sized, ...args: never[]) => unknown;

/** Has the built-in count so many bytes for each call. */
function count(
  owner: object,
  names: readonly string[],
  of: (self: Sized, args: readonly unknown[], result: Sized) => number,
): void {
  const methods = owner as Record<string, Method>;
  for (const name of names) {
    const original = methods[name] as Method;
    methods[name] = function (this: Sized, ...args: never[]) {
      const result = original.apply(this, args);
      bytes += of(this, args, result as Sized);
      return result;
    };
  }
}

const behind = (self: Sized, [, from]: readonly unknown[]): number =>
  self.length - (typeof from === 'number' ? from : 0);
count(Uint8Array.prototype, ['set'], (_, [from]) => (from as Sized).length);
count(Uint8Array.prototype, ['copyWithin'], (self, [, from, to]) => Number(to ?? self.length) - Number(from));
count(Uint8Array.prototype, ['fill', 'every', 'some', 'findIndex'], (self) => self.length);
count(Uint8Array.prototype, ['indexOf', 'includes'], behind);
count(Uint8Array.prototype, ['slice'], (_, __, result) => result.length);
count(Buffer.prototype, ['indexOf', 'includes'], behind);
count(Buffer.prototype, ['compare', 'equals'], (self) => self.length);
count(Buffer.prototype, ['toString'], (_, __, result) => result.length);
count(Buffer, ['from', 'concat'], (_, __, result) => result.length);

/** Blocks and bytes. */
export function stepsOf(run: () => void): number {
  post('Profiler.takePreciseCoverage');
  bytes = 0;
  run();
  const { result } = post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
  let blocks = 0;
  for (const { url, functions } of result) {
    if (!url.includes(ours)) continue;
    for (const { ranges } of functions) for (const range of ranges) blocks += range.count;
  }
  return blocks + bytes;
}

/** For one of what is sent: far less than what would be felt, and far more than any should need. */
const MOST_STEPS = 2000;

/**
 * Expects that `n`, `2n` and `4n` of something cost in proportion: what is quadratic would cost sixteen times as much in
 * the end, and V8 loses some of the counts while it optimizes. `prepare` makes what is measured, and is not counted.
 */
export function expectLinear(n: number, prepare: (n: number) => () => void, mostSteps = MOST_STEPS): void {
  const [once = 0, twice = 0, fourTimes = 0] = [n, 2 * n, 4 * n].map((size) => stepsOf(prepare(size)));
  const steps = `${once}, ${twice} and ${fourTimes} steps for ${n}, ${2 * n} and ${4 * n}`;
  expect(twice, steps).toBeGreaterThan(once);
  expect(fourTimes / once, steps).toBeLessThan(7);
  expect(fourTimes / twice, steps).toBeLessThan(3);
  expect(fourTimes / n, steps).toBeLessThan(4 * mostSteps);
}
