import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LogOutput } from '../../../src/base/log-output.ts';

type Answer = number | 'EAGAIN' | 'ENOSPC';

/** A reader that answers each write as it is told: it takes so many bytes, or gives an errno. */
function scene(answers: Answer[] = []) {
  let taken = '';
  const timers: (() => void)[] = [];
  const recovered: [number, string][] = [];
  const failure = (code: string) => Object.assign(new Error(code), { code });
  let pending: (() => void) | undefined;
  const take = (bytes: Uint8Array): number => {
    const answer = answers.shift() ?? bytes.length;
    if (typeof answer === 'string') throw failure(answer);
    const part = bytes.subarray(0, answer);
    taken += Buffer.from(part).toString();
    return part.length;
  };
  const output = new LogOutput({
    sink: {
      write(bytes, done) {
        pending = () => {
          try {
            done(null, take(bytes));
          } catch (error) {
            done(error as NodeJS.ErrnoException, 0);
          }
        };
      },
      writeNow: take,
    },
    setTimeout: (run) => void timers.push(run),
    onRecovered: (lines, reason) => recovered.push([lines, reason]),
  });
  /** The next of what is under way happens: a write, or a timer. */
  const step = (): boolean => {
    const next = pending ?? timers.shift();
    if (pending === next) pending = undefined;
    next?.();
    return next !== undefined;
  };
  const run = (): void => {
    for (let steps = 0; step(); steps++) if (steps > 10_000) throw new Error('it never rests');
  };
  return { output, answers, step, run, taken: () => taken, recovered };
}

test('lines are written in order, in parts where no more are taken', () => {
  const { output, run, taken } = scene([1, 3]);
  output.write('one\n');
  output.write('two\n');
  output.write('three\n');
  run();
  expect(taken()).toBe('one\ntwo\nthree\n');
  expect(output.dropped).toBe(0);
});

test('a slow reader is waited for, and loses nothing', () => {
  const { output, run, taken, recovered } = scene(['EAGAIN', 2, 'EAGAIN', 'EAGAIN']);
  output.write('one\n');
  output.write('two\n');
  run();
  expect(taken()).toBe('one\ntwo\n');
  expect([output.dropped, recovered]).toEqual([0, []]);
});

test('a reader that has stopped costs at most 4 MiB; the newest are lost, and told of once all is written', () => {
  const { output, answers, run, taken, recovered } = scene();
  const line = `${'x'.repeat(1023)}\n`;
  answers.push('EAGAIN');
  for (let i = 0; i < 5 * 1024; i++) output.write(line);
  expect(output.dropped).toBe(1023); // one batch is on its way besides
  run();
  expect(taken().length).toBe((5 * 1024 - 1023) * 1024);
  expect(recovered).toEqual([[1023, 'EAGAIN']]);
});

test('a full disk: what waits is lost, counted and told when there is room; a line that was cut off stands alone', () => {
  const { output, answers, run, taken, recovered } = scene();
  output.write('one\n');
  run();
  answers.push(2, 'ENOSPC');
  output.write('two\n');
  run();
  answers.push('ENOSPC');
  output.write('three\n');
  output.write('four\n');
  run();
  expect([output.dropped, recovered]).toEqual([3, []]);
  expect(output.loss).toEqual({ lines: 3, reason: 'ENOSPC' });
  output.write('five\n');
  run();
  expect(taken()).toBe('one\ntw\nfive\n');
  expect([output.dropped, recovered]).toEqual([3, [[3, 'ENOSPC']]]);
  expect(output.loss).toBeUndefined();
});

test('every line is taken whole, or counted as lost', () => {
  const answer = fc.oneof(fc.constantFrom<Answer>('EAGAIN', 'ENOSPC'), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 30 }), fc.integer({ min: 1, max: 20 }), (answers, count) => {
      const { output, run, taken } = scene([...answers]);
      for (let i = 0; i < count; i++) {
        output.write(`line ${i} of them\n`);
        if (i % 3 === 0) run();
      }
      run();
      const whole = taken()
        .split('\n')
        .filter((line) => /^line \d+ of them$/.test(line));
      expect(whole.length + output.dropped).toBe(count);
    }),
  );
});

test('flushed resolves when all is written, or lost', async () => {
  const { output, run } = scene(['EAGAIN', 'ENOSPC']);
  await output.flushed();
  output.write('one\n');
  const flushed = output.flushed();
  run();
  await flushed;
  expect(output.dropped).toBe(1);
});

test('at the end what waits is written at once, as far as it is taken', () => {
  const { output, step, answers, taken } = scene(['EAGAIN', 3, 1, 2, 'EAGAIN']);
  output.write('one\n');
  step();
  output.write('two\n');
  output.end();
  expect(taken()).toBe('one\ntw');
  expect(answers).toEqual([]);
});
