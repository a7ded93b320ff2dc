import { describe, expect, it } from 'vitest';
import type { Target } from '../../../../src/connection/wire.ts';
import { hostOf } from '../../../../src/engine/epoll/addresses.ts';
import { createDialler } from '../../../../src/engine/epoll/dialler.ts';
import { EINVAL, loadLibc } from '../../../../src/engine/epoll/libc.ts';
import type { Sockets } from '../../../../src/engine/epoll/sockets.ts';

const target = { slot: 0, nodeId: 'n', host: '127.0.0.1', port: 1883 };

describe.runIf(process.platform === 'linux')('dialler', () => {
  const used: (string | undefined)[] = [];
  const sockets = {
    dial: (_to, from) => {
      used.push(from && hostOf(from.bytes));
      return 9;
    },
  } satisfies Pick<Sockets, 'dial'> as unknown as Sockets;
  const dialler = createDialler(loadLibc(), sockets);
  const dial = (to: Target) => dialler(to, false);

  it('leaves the source to the kernel where none is given', () => {
    expect([dial(target), used.at(-1)]).toEqual([9, undefined]);
  });

  it('dials from the source of the target', () => {
    expect([dial({ ...target, sourceAddress: '127.0.0.2' }), used.at(-1)]).toEqual([9, '127.0.0.2']);
  });

  it('refuses names, and a source of the other family', () => {
    expect(dial({ ...target, host: 'broker.example' })).toBe(-EINVAL);
    expect(dial({ ...target, sourceAddress: 'eth0' })).toBe(-EINVAL);
    expect(dial({ ...target, sourceAddress: '::1' })).toBe(-EINVAL);
  });
});
