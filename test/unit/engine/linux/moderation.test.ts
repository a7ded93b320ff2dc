import { describe, expect, it } from 'vitest';
import { Moderation } from '../../../../src/engine/linux/moderation.ts';

/** Whether the thread gathers behind so many turns, each so long, with so many events of devices and of nodes. */
function gathers(turns: number, turn: { ms: number; devices: number; nodes: number }): boolean {
  const moderation = new Moderation(0);
  for (let i = 1; i <= turns; i++) moderation.turned(turn.devices + turn.nodes, turn.devices, i * turn.ms);
  return moderation.gathers;
}

describe('moderation', () => {
  it('gathers what comes in quick succession from devices, or from nodes', () => {
    expect(gathers(1000, { ms: 0.025, devices: 1, nodes: 0 })).toBe(true);
    expect(gathers(1000, { ms: 0.025, devices: 0, nodes: 1 })).toBe(true);
  });

  it('goes on while several come at once', () => {
    expect(gathers(1000, { ms: 0.1, devices: 4, nodes: 0 })).toBe(true);
  });

  it('makes nobody wait where the other side answers', () => {
    expect(gathers(1000, { ms: 0.025, devices: 1, nodes: 1 })).toBe(false);
    expect(gathers(1000, { ms: 0.1, devices: 8, nodes: 1 })).toBe(false);
  });

  it('makes nobody wait where too few come to be served with him', () => {
    expect(gathers(1000, { ms: 0.05, devices: 1, nodes: 0 })).toBe(false);
  });

  it('does not wait where many come at once anyway', () => {
    expect(gathers(1000, { ms: 0.1, devices: 40, nodes: 0 })).toBe(false);
  });

  it('stops soon behind the last of them', () => {
    const moderation = new Moderation(0);
    let nowMs = 0;
    const turn = (ms: number): void => {
      nowMs += ms;
      moderation.turned(1, 1, nowMs);
    };
    for (let i = 0; i < 1000; i++) turn(0.025);
    let turns = 0;
    for (; moderation.gathers; turns++) turn(10);
    expect(turns).toBeLessThan(300);
  });
});
