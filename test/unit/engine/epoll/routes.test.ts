import { describe, expect, it } from 'vitest';
import { hostOf } from '../../../../src/engine/epoll/addresses.ts';
import { loadLibc } from '../../../../src/engine/epoll/libc.ts';
import { createRoutes, type Route } from '../../../../src/engine/epoll/routes.ts';

const target = { slot: 0, nodeId: 'n', host: '127.0.0.1', port: 1883 };

describe.runIf(process.platform === 'linux')('routes', () => {
  const routeOf = createRoutes(loadLibc());
  const shown = ({ to, from, isPlain }: Route) => [
    to && hostOf(to.bytes),
    from && hostOf(from.bytes),
    isPlain,
  ];

  it('leave the source to the kernel where none is given', () => {
    expect(shown(routeOf(target))).toEqual(['127.0.0.1', undefined, true]);
    expect(shown(routeOf({ ...target, host: '::1' }))).toEqual(['::1', undefined, false]);
  });

  it('begin at the source of the target', () => {
    const route = routeOf({ ...target, sourceAddress: '127.0.0.2' });
    expect(shown(route)).toEqual(['127.0.0.1', '127.0.0.2', false]);
  });

  it('lead nowhere from a name, and from a source of the other family', () => {
    for (const wrong of [{ host: 'broker.example' }, { sourceAddress: 'eth0' }, { sourceAddress: '::1' }]) {
      expect(routeOf({ ...target, ...wrong }).to).toBeUndefined();
    }
  });

  it('are found once', () => {
    expect(routeOf(target)).toBe(routeOf(target));
  });
});
