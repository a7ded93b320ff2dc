import { expect, test } from 'vitest';
import { CONNECTION, closeDescriptors, OTHER } from '../../../src/engine/descriptors.ts';

/** The descriptors of a thread that has ended: so many connections, from 10 on, and a listening socket. */
function scene(connections: number) {
  const open = new Uint8Array(2048);
  open.fill(CONNECTION, 10, 10 + connections);
  open[5] = OTHER;
  const closed: number[] = [];
  const due: { readonly run: () => void; readonly ms: number }[] = [];
  const timers = { setTimeout: (run: () => void, ms: number) => due.push({ run, ms }) };
  const close = (fd: number) => {
    closed.push(fd);
    if (fd % 7 === 0) throw new Error('EBADF');
  };
  const count = closeDescriptors(open, timers, close);
  /** Closed in each step from now on, until nothing is due. */
  const steps = (): { readonly sizes: number[]; readonly ms: number } => {
    const sizes: number[] = [];
    let ms = 0;
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      const before = closed.length;
      ms += next.ms;
      next.run();
      sizes.push(closed.length - before);
    }
    return { sizes, ms };
  };
  return { open, closed, count, steps };
}

test('what listens is closed at once, connections over two seconds and evenly', () => {
  const { open, closed, count, steps } = scene(1000);
  expect([count, closed[0], closed.length]).toEqual([1000, 5, 11]);
  const { sizes, ms } = steps();
  expect(new Set(sizes)).toEqual(new Set([10]));
  expect(ms).toBe(1980);
  expect(closed.slice(1)).toEqual(Array.from({ length: 1000 }, (_, i) => 10 + i));
  expect(open.some((each) => each !== 0)).toBe(false);
});

test('few connections are spread too, and none leaves nothing to do', () => {
  const few = scene(3);
  expect(few.closed).toEqual([5, 10]);
  const { sizes } = few.steps();
  expect(sizes.filter((size) => size > 0)).toEqual([1, 1]);
  const none = scene(0);
  expect([none.count, none.closed, none.steps().sizes]).toEqual([0, [5], []]);
});
