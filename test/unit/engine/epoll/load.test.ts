import { describe, expect, it } from 'vitest';
import { loadEpoll } from '../../../../src/engine/epoll/load.ts';
import { errnoName } from '../../../../src/engine/linux/libc.ts';

describe('loading epoll', () => {
  it('is available on Linux', () => {
    expect(loadEpoll().available).toBe(process.platform === 'linux');
  });

  it('says why it is not', () => {
    const support = loadEpoll(() => {
      throw new Error('no symbol accept4');
    });
    expect(support).toEqual({ available: false, reason: 'no symbol accept4' });
  });

  it('names errors', () => {
    expect([errnoName(-104), errnoName(111), errnoName(-4000)]).toEqual([
      'ECONNRESET',
      'ECONNREFUSED',
      'errno 4000',
    ]);
  });
});
