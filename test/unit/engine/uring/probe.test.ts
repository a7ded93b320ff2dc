import { describe, expect, it } from 'vitest';
import type { Libc } from '../../../../src/engine/linux/libc.ts';
import { probe } from '../../../../src/engine/uring/probe.ts';

/** A kernel that refuses a ring with this errno. */
const refusing = (errno: number): Libc =>
  ({
    pin: (bytes: number) => ({ bytes: Buffer.alloc(bytes), address: 4096 }),
    uringSetup: () => -errno,
  }) as unknown as Libc;

const [EPERM, EINVAL, ENOSYS, EMFILE, ENOMEM] = [1, 22, 38, 24, 12];
const never = (): string => {
  throw new Error('no such file');
};

describe('a kernel without a ring', () => {
  it.each([
    [EPERM, () => '2\n', 'EPERM: sysctl kernel.io_uring_disabled is 2'],
    [EPERM, () => '1\n', 'EPERM: sysctl kernel.io_uring_disabled is 1'],
    [EPERM, () => '0\n', 'EPERM: a seccomp filter forbids it, as the default one of containers does'],
    [EPERM, never, 'EPERM: a seccomp filter forbids it, as the default one of containers does'],
    [ENOSYS, never, 'ENOSYS: the kernel was built without it, or a seccomp filter hides it'],
    [EINVAL, never, 'EINVAL: it needs Linux 6.1 or later'],
    [EMFILE, never, 'EMFILE: see io_uring_setup(2)'],
    [
      ENOMEM,
      never,
      'ENOMEM: a data thread takes 0.3 MB of locked memory; raise ulimit -l, or LimitMEMLOCK of systemd',
    ],
  ])('is told with the reason (errno %i)', (errno, disabled, reason) => {
    expect(() => probe(refusing(errno), disabled)).toThrow(`io_uring_setup: ${reason}`);
  });
});
