import { expect, it } from 'vitest';
import { deadlyFilter } from '../../../../src/engine/uring/seccomp.ts';

const filtered = () => 'Name:\tnode\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n';
const ended =
  (status: number | null, signal: NodeJS.Signals | null = null, error?: Error) =>
  () => ({
    ...{ status, signal, error },
  });

it.each([
  ['no filter', () => 'Name:\tnode\nSeccomp:\t0\nSeccomp_filters:\t0\n'],
  ['a kernel that knows none', () => 'Name:\tnode\n'],
])('with %s no process is started to find out', (_, status) => {
  expect(deadlyFilter(status, () => expect.unreachable())).toBeUndefined();
});

it('where nobody knows whether there is a filter, io_uring is not called', () => {
  const noProc = () => {
    throw new Error("ENOENT: no such file or directory, open '/proc/self/status'");
  };
  expect(deadlyFilter(noProc, () => expect.unreachable())).toBe(
    "nobody knows whether a seccomp filter ends a process that calls io_uring: ENOENT: no such file or directory, open '/proc/self/status'",
  );
});

it('a filter that lets a process live, whatever it answers, is none that ends it', () => {
  expect(deadlyFilter(filtered, ended(0))).toBeUndefined();
});

it('a filter that ends a process is told', () => {
  expect(deadlyFilter(filtered, ended(null, 'SIGSYS'))).toBe(
    'a seccomp filter ends a process that calls io_uring',
  );
});

it.each([
  ['it could not be started', ended(null, null, new Error('spawn EPERM')), 'spawn EPERM'],
  ['it failed', ended(1), 'one ended with 1'],
  ['another signal ended it', ended(null, 'SIGKILL'), 'one ended with SIGKILL'],
])('where nobody knows, io_uring is not called: %s', (_, tryOut, why) => {
  expect(deadlyFilter(filtered, tryOut)).toBe(
    `nobody knows what the seccomp filter does to a process that calls io_uring: ${why}`,
  );
});
