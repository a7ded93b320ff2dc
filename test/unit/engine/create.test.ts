import { describe, expect, test } from 'vitest';
import { chooseEngine } from '../../../src/engine/create.ts';
import type { LinuxSupport } from '../../../src/engine/linux/support.ts';

/** Which engine runs, where a machine does not have all that one needs. */

const without = (reason: string) => (): LinuxSupport => ({ available: false, reason });
const withTls = (fault?: string) => (): LinuxSupport => ({
  available: true,
  create: () => {
    throw new Error('nobody asks for it here');
  },
  ...{ tlsFault: () => fault, recordsFault: () => undefined, transparentFault: () => undefined },
});

describe('auto', () => {
  test('takes epoll', () => {
    expect(chooseEngine('auto', { epoll: withTls(), uring: withTls() })).toEqual({ name: 'epoll' });
  });

  test.each([
    ['it needs', without('it needs Linux')],
    ['TLS needs', withTls('it needs Linux')],
  ])('takes the node engine where epoll lacks what %s, and says why', (_, epoll) => {
    const chosen = chooseEngine('auto', { epoll, uring: withTls() });
    expect(chosen).toEqual({ name: 'node', why: 'it needs Linux' });
  });
});

test('an engine that is asked for is taken without TLS too, and refused where it cannot run', () => {
  const engines = { epoll: withTls('no OpenSSL'), uring: without('it needs Linux 6.1') };
  expect(chooseEngine('epoll', engines)).toEqual({ name: 'epoll' });
  expect(() => chooseEngine('uring', engines)).toThrow(
    'uring is not available: it needs Linux 6.1; use auto or node',
  );
});
