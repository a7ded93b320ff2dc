import { describe, expect, it } from 'vitest';
import { type Libc, loadLibc } from '../../../../src/engine/linux/libc.ts';
import { loadUring } from '../../../../src/engine/uring/load.ts';

it('says why it is not available', () => {
  const support = loadUring(() => {
    throw new Error('no symbol syscall');
  });
  expect(support).toEqual({ available: false, reason: 'no symbol syscall' });
});

describe.runIf(loadUring().available)('where the kernel has a ring', () => {
  /** What is found where these calls are other ones. */
  const found = (change: (libc: Libc) => Partial<Libc>) =>
    loadUring(() => {
      const libc = loadLibc();
      return { ...libc, ...change(libc) };
    });
  const REGISTER_PROBE = 8;
  const OP_RECV = 27;
  const RECV_MULTISHOT = 2 << 16;
  const FEATURES_AT = 20;
  const FEAT_NO_IOWAIT = 1 << 17;
  const EPERM = 1;

  it('names the operations that this kernel lacks', () => {
    const support = found((libc) => ({
      uringRegister: (fd, operation, address, count) =>
        operation === REGISTER_PROBE ? 0 : libc.uringRegister(fd, operation, address, count), // the answer stays empty
    }));
    expect(support).toEqual({
      available: false,
      reason: 'io_uring has no POLL_ADD, SENDMSG, ASYNC_CANCEL, SEND, RECV here',
    });
  });

  it('finds out by a receive whether the kernel goes on with one by itself', () => {
    const support = found((libc) => {
      const maps: ArrayBuffer[] = [];
      return {
        map(...args) {
          const mapping = libc.map(...args);
          maps.push(mapping.memory);
          return mapping;
        },
        uringEnter(...args) {
          const submission = new Uint32Array(maps[1] as ArrayBuffer);
          expect((submission[0] as number) & 0xff).toBe(OP_RECV);
          expect((submission[0] as number) & RECV_MULTISHOT).toBe(RECV_MULTISHOT);
          submission[0] = (submission[0] as number) | (1 << 31); // no kernel knows this
          return libc.uringEnter(...args);
        },
      };
    });
    expect(support).toEqual({
      available: false,
      reason: 'io_uring does not receive as it is to: EINVAL; it needs Linux 6.1 or later',
    });
  });

  it('finds out whether a filter lets it wait', () => {
    expect(found(() => ({ uringEnter: () => -EPERM }))).toEqual({
      available: false,
      reason: 'io_uring_enter: EPERM: a seccomp filter forbids it, as the default one of containers does',
    });
  });

  it.each([
    ['with', FEAT_NO_IOWAIT, undefined],
    ['without', 0, expect.stringContaining('shown as waiting for a disk')],
  ])('tells what speaks against it: a kernel %s an idle wait', (_, feature, drawback) => {
    const params: Buffer[] = [];
    const support = found((libc) => ({
      pin(bytes) {
        const pinned = libc.pin(bytes);
        params.push(pinned.bytes);
        return pinned;
      },
      uringSetup(entries, address) {
        const fd = libc.uringSetup(entries, address);
        const [bytes] = params as [Buffer];
        const features = bytes.readUInt32LE(FEATURES_AT);
        bytes.writeUInt32LE((features & ~FEAT_NO_IOWAIT) | feature, FEATURES_AT);
        return fd;
      },
      uringEnter: (fd, submit, least, flags, argument, size) =>
        libc.uringEnter(fd, submit, least, flags & ~(1 << 7), argument, size),
    }));
    expect(support.available && support.drawback?.(1)).toEqual(drawback);
  });

  it('leaves nothing open where there is no memory', () => {
    const open: number[] = [];
    const support = found((libc) => ({
      uringSetup(entries, params) {
        const fd = libc.uringSetup(entries, params);
        open.push(fd);
        return fd;
      },
      close(fd) {
        open.splice(open.indexOf(fd), 1);
        return libc.close(fd);
      },
      map() {
        throw new Error('mmap: ENOMEM');
      },
    }));
    expect(support).toMatchObject({ available: false });
    expect(open).toEqual([]);
  });
});
