import { describe, expect, it } from 'vitest';
import { hostOf } from '../../../../src/engine/epoll/addresses.ts';
import { createDialler, type Dial } from '../../../../src/engine/epoll/dialler.ts';
import { EADDRNOTAVAIL, ECONNRESET, EINVAL, loadLibc } from '../../../../src/engine/epoll/libc.ts';
import type { Sockets } from '../../../../src/engine/epoll/sockets.ts';

const target = { slot: 0, nodeId: 'n', host: '127.0.0.1', port: 1883 };

describe.runIf(process.platform === 'linux')('dialler', () => {
  function dialler(sources: string[], answers: number[]): { dial: Dial; used: (string | undefined)[] } {
    const used: (string | undefined)[] = [];
    const sockets = {
      dial: (_to, from) => {
        used.push(from && hostOf(from.bytes));
        return answers.shift() ?? 9;
      },
    } satisfies Pick<Sockets, 'dial'> as unknown as Sockets;
    return { dial: createDialler(loadLibc(), sockets, sources), used };
  }

  it('leaves the source to the kernel where none is given', () => {
    const { dial, used } = dialler([], []);
    expect([dial(target), used]).toEqual([9, [undefined]]);
  });

  it('takes the sources in turn', () => {
    const { dial, used } = dialler(['127.0.0.2', '127.0.0.3'], []);
    for (let i = 0; i < 3; i++) dial(target);
    expect(used).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.2']);
  });

  it('tries the next source where one has no port left, and no other for any other error', () => {
    const full = dialler(['127.0.0.2', '127.0.0.3'], [-EADDRNOTAVAIL, 12]);
    expect([full.dial(target), full.used]).toEqual([12, ['127.0.0.2', '127.0.0.3']]);
    const broken = dialler(['127.0.0.2', '127.0.0.3'], [-ECONNRESET]);
    expect([broken.dial(target), broken.used]).toEqual([-ECONNRESET, ['127.0.0.2']]);
  });

  it('uses sources of the family of the node only', () => {
    const { dial, used } = dialler(['::1', '127.0.0.3'], []);
    dial(target);
    dial(target);
    expect(used).toEqual(['127.0.0.3', '127.0.0.3']);
    expect(dial({ ...target, host: '::1' })).toBe(9);
    expect(used.at(-1)).toBe('::1');
  });

  it('refuses a name', () => {
    expect(dialler([], []).dial({ ...target, host: 'broker.example' })).toBe(-EINVAL);
  });

  it('refuses a source that is no address, at once', () => {
    expect(() => dialler(['eth0'], [])).toThrow('eth0');
  });
});
