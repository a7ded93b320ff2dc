import { describe, expect, it } from 'vitest';
import { AdaptiveSpin } from '../../../../src/engine/linux/adaptive-spin.ts';

const NODE = 0;
const DEVICE = 1;

/** How many of so many waits were looked for. */
function looks(spin: AdaptiveSpin, kind: number, waits: number, comes: (wait: number) => boolean) {
  let looked = 0;
  for (let wait = 0; wait < waits; wait++) {
    if (!spin.expects(kind)) continue;
    looked++;
    spin.learn(kind, comes(wait));
  }
  return looked;
}

describe('adaptive spin', () => {
  it('hardly ever looks where nothing comes', () => {
    expect(looks(new AdaptiveSpin(), DEVICE, 10_000, () => false)).toBeLessThan(100);
  });

  it('finds out that something comes, and looks every time from then on', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 5_000, () => true);
    expect(looks(spin, DEVICE, 1_000, () => true)).toBe(1_000);
  });

  it('stops when it no longer comes', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 5_000, () => true);
    expect(looks(spin, DEVICE, 1_000, () => false)).toBeLessThan(15);
  });

  it('does not look where it comes only every second time', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 10_000, (wait) => wait % 2 === 0);
    expect(looks(spin, DEVICE, 1_000, (wait) => wait % 2 === 0)).toBeLessThan(50);
  });

  it('learns apart for devices and nodes', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 5_000, () => true);
    expect(looks(spin, NODE, 1_000, () => true)).toBeLessThan(15);
  });

  it('finds out about either of two that take turns', () => {
    const spin = new AdaptiveSpin();
    for (let wait = 0; wait < 5_000; wait++) {
      looks(spin, DEVICE, 1, () => true);
      looks(spin, NODE, 1, () => false);
    }
    expect(looks(spin, DEVICE, 1_000, () => true)).toBe(1_000);
    expect(looks(spin, NODE, 1_000, () => false)).toBeLessThan(15);
  });

  it('keeps looking past a few that do not come', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 20_000, () => true);
    expect(looks(spin, DEVICE, 20_000, (wait) => wait % 30 !== 0)).toBe(20_000);
  });

  it('does not look where the thread gathers messages: it would find each alone', () => {
    const spin = new AdaptiveSpin();
    looks(spin, DEVICE, 20_000, () => true);
    const calls: string[] = [];
    const told = (call: string) => (): number => calls.push(call);
    const poller = { looks: 1, look: told('look'), wait: told('wait'), gather: told('gather') };
    spin.wait(poller, 100, DEVICE, false);
    spin.wait(poller, 100, DEVICE, true);
    expect(calls).toEqual(['look', 'gather']);
  });
});
