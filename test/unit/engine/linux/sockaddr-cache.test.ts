import { describe, expect, it } from 'vitest';
import { hostOf } from '../../../../src/engine/linux/addresses.ts';
import { loadLibc } from '../../../../src/engine/linux/libc.ts';
import { createSockaddrCache, type Sockaddrs } from '../../../../src/engine/linux/sockaddr-cache.ts';

const target = { slot: 0, nodeId: 'n', host: '127.0.0.1', port: 1883 };

describe.runIf(process.platform === 'linux')('the socket addresses of a target', () => {
  const sockaddrsOf = createSockaddrCache(loadLibc());
  const shown = ({ to, from, isRecyclable }: Sockaddrs) => [
    to && hostOf(to.bytes),
    from && hostOf(from.bytes),
    isRecyclable,
  ];

  it('leave the source to the kernel where the target names none', () => {
    expect(shown(sockaddrsOf(target))).toEqual(['127.0.0.1', undefined, true]);
    expect(shown(sockaddrsOf({ ...target, host: '::1' }))).toEqual(['::1', undefined, false]);
  });

  it('hold the source that the target names', () => {
    const sockaddrs = sockaddrsOf({ ...target, sourceAddress: '127.0.0.2' });
    expect(shown(sockaddrs)).toEqual(['127.0.0.1', '127.0.0.2', false]);
  });

  it('are none for a name, and for a source of the other family', () => {
    for (const wrong of [{ host: 'broker.example' }, { sourceAddress: 'eth0' }, { sourceAddress: '::1' }]) {
      expect(sockaddrsOf({ ...target, ...wrong }).to).toBeUndefined();
    }
  });

  it('are encoded once', () => {
    expect(sockaddrsOf(target)).toBe(sockaddrsOf(target));
  });
});
