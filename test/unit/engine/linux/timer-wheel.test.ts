import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../../../src/engine/linux/timer-wheel.ts';

const TICK = 10;
const KEYS = 8;

function wheelAt(startMs = 0, buckets = 4) {
  const wheel = new TimerWheel(KEYS, startMs, TICK, buckets);
  const fired: number[] = [];
  const advance = (nowMs: number): number[] => {
    fired.length = 0;
    wheel.advance(nowMs, (key) => fired.push(key));
    return [...fired];
  };
  return { wheel, advance };
}

describe('timer wheel', () => {
  it('fires at the first tick at or after the time, once', () => {
    const { wheel, advance } = wheelAt();
    wheel.set(3, 15, 0);
    expect(advance(15)).toEqual([]);
    expect(advance(20)).toEqual([3]);
    expect(advance(1000)).toEqual([]);
  });

  it('keeps timers of a later turn in their bucket', () => {
    const { wheel, advance } = wheelAt(0, 4);
    wheel.set(0, 20, 0);
    wheel.set(1, 60, 0); // the same bucket, one turn later
    expect(advance(20)).toEqual([0]);
    expect(advance(59)).toEqual([]);
    expect(advance(60)).toEqual([1]);
  });

  it('replaces and clears', () => {
    const { wheel, advance } = wheelAt();
    wheel.set(0, 10, 0);
    wheel.set(0, 30, 0);
    wheel.set(1, 10, 0);
    wheel.clear(1);
    wheel.clear(2);
    expect(wheel.size).toBe(1);
    expect(advance(20)).toEqual([]);
    expect(advance(30)).toEqual([0]);
    expect(wheel.size).toBe(0);
  });

  it('does not fire what an earlier timer of the same tick has cleared', () => {
    const { wheel } = wheelAt();
    const fired: number[] = [];
    wheel.set(0, 10, 0);
    wheel.set(1, 10, 0);
    wheel.advance(10, (key) => {
      fired.push(key);
      wheel.clear(1 - key);
    });
    expect(fired).toHaveLength(1);
  });

  it('fires a timer that its own firing sets again at a later tick, not for ever in this one', () => {
    const { wheel } = wheelAt();
    let fired = 0;
    wheel.set(0, 10, 0);
    const again = (): void => {
      fired++;
      wheel.set(0, 0, 10);
    };
    wheel.advance(10, again);
    expect(fired).toBe(1);
    wheel.advance(20, again);
    expect(fired).toBe(2);
  });

  it('says how long may be slept', () => {
    const { wheel } = wheelAt(1000);
    expect(wheel.waitMs(1003)).toBe(-1);
    wheel.set(0, 500, 1003);
    expect(wheel.waitMs(1003)).toBe(7);
    expect(wheel.waitMs(2000)).toBe(1);
  });

  it('never fires early, never more than a tick late, and forgets none', () => {
    const step = fc.record({
      key: fc.nat(KEYS - 1),
      ms: fc.integer({ min: 1, max: 300 }),
      wait: fc.nat(200),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { wheel, advance } = wheelAt(0, 4);
        const due = new Map<number, number>();
        let nowMs = 0;
        const check = (toMs: number): void => {
          for (let at = nowMs; at <= toMs; at++) {
            for (const key of advance(at)) {
              const dueMs = due.get(key) as number;
              expect(at).toBeGreaterThanOrEqual(dueMs);
              expect(at).toBeLessThan(dueMs + TICK + 1);
              due.delete(key);
            }
          }
          nowMs = toMs;
        };
        for (const { key, ms, wait } of steps) {
          wheel.set(key, ms, nowMs);
          due.set(key, nowMs + ms);
          check(nowMs + wait);
        }
        check(nowMs + 400);
        expect([due.size, wheel.size]).toEqual([0, 0]);
      }),
    );
  });
});
