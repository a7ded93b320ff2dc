import { describe, expect, it } from 'vitest';
import { Anticipation } from '../../../../src/engine/epoll/anticipation.ts';

const NODE = 0;
const DEVICE = 1;

/** How many of so many waits were looked for. */
function looks(anticipation: Anticipation, kind: number, waits: number, comes: (wait: number) => boolean) {
  let looked = 0;
  for (let wait = 0; wait < waits; wait++) {
    if (!anticipation.expects(kind)) continue;
    looked++;
    anticipation.learn(kind, comes(wait));
  }
  return looked;
}

describe('anticipation', () => {
  it('hardly ever looks where nothing comes', () => {
    expect(looks(new Anticipation(), DEVICE, 10_000, () => false)).toBeLessThan(100);
  });

  it('finds out that something comes, and looks every time from then on', () => {
    const anticipation = new Anticipation();
    looks(anticipation, DEVICE, 5_000, () => true);
    expect(looks(anticipation, DEVICE, 1_000, () => true)).toBe(1_000);
  });

  it('stops when it no longer comes', () => {
    const anticipation = new Anticipation();
    looks(anticipation, DEVICE, 5_000, () => true);
    expect(looks(anticipation, DEVICE, 1_000, () => false)).toBeLessThan(15);
  });

  it('does not look where it comes only every second time', () => {
    const anticipation = new Anticipation();
    looks(anticipation, DEVICE, 10_000, (wait) => wait % 2 === 0);
    expect(looks(anticipation, DEVICE, 1_000, (wait) => wait % 2 === 0)).toBeLessThan(50);
  });

  it('learns apart for devices and nodes', () => {
    const anticipation = new Anticipation();
    looks(anticipation, DEVICE, 5_000, () => true);
    expect(looks(anticipation, NODE, 1_000, () => true)).toBeLessThan(15);
  });

  it('finds out about either of two that take turns', () => {
    const anticipation = new Anticipation();
    for (let wait = 0; wait < 5_000; wait++) {
      looks(anticipation, DEVICE, 1, () => true);
      looks(anticipation, NODE, 1, () => false);
    }
    expect(looks(anticipation, DEVICE, 1_000, () => true)).toBe(1_000);
    expect(looks(anticipation, NODE, 1_000, () => false)).toBeLessThan(15);
  });

  it('keeps looking past a few that do not come', () => {
    const anticipation = new Anticipation();
    looks(anticipation, DEVICE, 20_000, () => true);
    expect(looks(anticipation, DEVICE, 20_000, (wait) => wait % 30 !== 0)).toBe(20_000);
  });
});
