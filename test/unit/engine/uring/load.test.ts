import { expect, it } from 'vitest';
import { loadLibc } from '../../../../src/engine/linux/libc.ts';
import { loadUring } from '../../../../src/engine/uring/load.ts';

it('says why it is not available', () => {
  const support = loadUring(() => {
    throw new Error('no symbol syscall');
  });
  expect(support).toEqual({ available: false, reason: 'no symbol syscall' });
});

it.runIf(loadUring().available)('names the operations that this kernel lacks', () => {
  const libc = loadLibc();
  const registers = (fd: number, operation: number, address: number, count: number): number =>
    operation === 8 ? 0 : libc.uringRegister(fd, operation, address, count); // the answer stays empty
  const support = loadUring(() => ({ ...libc, uringRegister: registers }));
  expect(support).toEqual({
    available: false,
    reason: 'io_uring has no POLL_ADD, SENDMSG, ASYNC_CANCEL, SEND, RECV here',
  });
});
