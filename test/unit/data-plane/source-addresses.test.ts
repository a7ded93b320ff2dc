import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/connection/wire.ts';
import { createSources, sourced } from '../../../src/data-plane/source-addresses.ts';

const v4: Target = { slot: 0, nodeId: 'a', host: '10.0.0.1', port: 1883 };
const v6: Target = { slot: 1, nodeId: 'b', host: '::1', port: 1883 };

describe('source addresses', () => {
  it('are taken in turn', () => {
    const source = createSources(['10.0.0.7', '10.0.0.8']);
    const taken = [v4, v4, v4].map((target) => source(target).sourceAddress);
    expect(taken).toEqual(['10.0.0.7', '10.0.0.8', '10.0.0.7']);
  });

  it('are of the family of the node, and left to the system where there is none', () => {
    const source = createSources(['10.0.0.7']);
    expect([v6, v4].map((target) => source(target).sourceAddress)).toEqual([undefined, '10.0.0.7']);
  });

  it('make the same target each time, for engines to remember', () => {
    const source = createSources(['10.0.0.7']);
    expect(source(v4)).toBe(source(v4));
  });

  it('leave the order of candidates as it was', () => {
    const candidates = sourced([v4, v6][Symbol.iterator]() as never, createSources(['10.0.0.7']));
    expect([...candidates].map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
  });
});
