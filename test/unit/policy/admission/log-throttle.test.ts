import { describe, expect, it } from 'vitest';
import { createLogThrottle } from '../../../../src/policy/admission/log-throttle.ts';

describe('a burst', () => {
  it('is told of once, and the rest of it ten seconds later', () => {
    let nowMs = 0;
    const bursts = createLogThrottle({ now: () => nowMs });
    expect(bursts('a')).toBe(0);
    expect([bursts('a'), bursts('a', 5)]).toEqual([undefined, undefined]);
    nowMs = 9_999;
    expect(bursts('a')).toBe(undefined);
    nowMs = 10_000;
    expect(bursts('a')).toBe(7);
    nowMs = 20_000;
    expect(bursts('a', 3)).toBe(2);
  });

  it('of one kind hides none of another', () => {
    const bursts = createLogThrottle({ now: () => 0 });
    expect([bursts('a'), bursts('b'), bursts('a')]).toEqual([0, 0, undefined]);
  });

  it('of too many kinds is one', () => {
    const bursts = createLogThrottle({ now: () => 0 });
    for (let kind = 0; kind < 1_000; kind++) bursts(String(kind));
    expect([bursts('x'), bursts('y'), bursts('7')]).toEqual([0, undefined, undefined]);
  });
});
