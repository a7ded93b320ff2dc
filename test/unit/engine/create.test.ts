import { describe, expect, it } from 'vitest';
import { chooseEngine } from '../../../src/engine/create.ts';
import type { LinuxSupport } from '../../../src/engine/linux/support.ts';

const unused = () => expect.unreachable();
const withTls = (fault?: string): LinuxSupport => ({
  available: true,
  ...{ create: unused, transparentFault: unused, recordsFault: unused, tlsFault: () => fault },
});
const here = withTls();
const not = (reason: string): LinuxSupport => ({ available: false, reason });

type Machine = NonNullable<Parameters<typeof chooseEngine>[2]>;

/** A machine that has everything, but for what is said. */
const machine = (but: Partial<Machine> = {}): Machine => ({
  ...{ epoll: () => here, uring: () => here, deadlyFilter: () => undefined },
  ...but,
});
/** Uring can be had, and one thing speaks against it. */
const harmful = { uring: () => ({ ...here, drawback: (threads: number) => `${threads} cores look busy` }) };

describe('engine: auto', () => {
  it('is uring where that can be had, and epoll for a thread for which it cannot be made', () => {
    expect(chooseEngine('auto', 2, machine())).toEqual({ name: 'uring', spare: 'epoll' });
  });

  it('is epoll where there is no uring, and says why', () => {
    const reason = 'io_uring_setup: EPERM: sysctl kernel.io_uring_disabled is 2';
    expect(chooseEngine('auto', 2, machine({ uring: () => not(reason) }))).toEqual({
      name: 'epoll',
      why: `not uring: ${reason}`,
    });
  });

  it('is epoll where uring can be had, but would harm somebody', () => {
    expect(chooseEngine('auto', 2, machine(harmful))).toEqual({
      name: 'epoll',
      why: 'not uring: 2 cores look busy',
    });
  });

  it('is epoll where the process would be ended for trying, and does not try', () => {
    const asked = machine({ deadlyFilter: () => 'a filter ends it', uring: unused });
    expect(chooseEngine('auto', 2, asked)).toEqual({
      name: 'epoll',
      why: 'not uring: a filter ends it',
    });
  });

  it('is node where there is no epoll, which uring needs all of too', () => {
    const asked = machine({ epoll: () => not('it needs Linux, this is darwin'), uring: unused });
    expect(chooseEngine('auto', 2, asked)).toEqual({
      name: 'node',
      why: 'not epoll: it needs Linux, this is darwin',
    });
  });

  it('is node where epoll cannot speak TLS, nor can uring then', () => {
    const asked = machine({ epoll: () => withTls('no OpenSSL'), uring: unused });
    expect(chooseEngine('auto', 2, asked)).toEqual({ name: 'node', why: 'not epoll: no OpenSSL' });
  });
});

describe('an engine by name', () => {
  it('is taken where it can be had, whatever speaks against it, and no other is in its place', () => {
    expect(chooseEngine('uring', 2, machine(harmful))).toEqual({ name: 'uring' });
    expect(chooseEngine('epoll', 2, machine({ epoll: () => withTls('no OpenSSL') }))).toEqual({
      name: 'epoll',
    });
    expect(chooseEngine('node', 2, machine())).toEqual({ name: 'node' });
  });

  it('is refused where it cannot be had', () => {
    expect(() => chooseEngine('uring', 2, machine({ uring: () => not('no ring') }))).toThrow(
      'uring is not available: no ring; use auto or node',
    );
  });
});
