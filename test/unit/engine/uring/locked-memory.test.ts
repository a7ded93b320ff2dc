import { expect, it } from 'vitest';
import { lockedMemoryFault } from '../../../../src/engine/uring/locked-memory.ts';

/** A process that may lock so many bytes. */
const allowed =
  (limit: string, capabilities = '0000000000000400') =>
  (path: string) =>
    path.endsWith('limits')
      ? `Max processes             96130                96130                processes\nMax locked memory         ${limit}              8388608              bytes\n`
      : `Name:\tnode\nCapEff:\t${capabilities}\nSeccomp:\t0\n`;

it('the usual 8 MiB are enough for 14 data threads, as two processes of an upgrade have them', () => {
  expect(lockedMemoryFault(14, allowed('8388608'))).toBeUndefined();
  expect(lockedMemoryFault(15, allowed('8388608'))).toBe(
    'rings of 15 data threads lock 8.6 MiB during an upgrade, and 8.0 may be locked: raise ulimit -l, or LimitMEMLOCK of systemd',
  );
});

it.each([
  ['no limit', allowed('unlimited')],
  ['a capability that passes over it', allowed('65536', '000001ffffffffff')],
])('with %s any number of threads may have rings', (_, read) => {
  expect(lockedMemoryFault(64, read)).toBeUndefined();
});

it('without one the limit holds', () => {
  expect(lockedMemoryFault(1, allowed('65536'))).toMatch(
    /^rings of 1 data threads lock 0.6 MiB .* and 0.1 may be locked/,
  );
});

it('where nobody knows the limit that is said, and not thrown', () => {
  const noProc = () => {
    throw new Error("ENOENT: no such file or directory, open '/proc/self/limits'");
  };
  expect(lockedMemoryFault(1, noProc)).toBe(
    "nobody knows how much memory may be locked: ENOENT: no such file or directory, open '/proc/self/limits'",
  );
});
