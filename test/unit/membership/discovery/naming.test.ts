import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostOf } from '../../../../src/membership/discovery/emqx.ts';
import { nodeIdOf } from '../../../../src/membership/discovery/node-id.ts';
import { checkNodeId } from '../../../../src/nodes/spec.ts';

describe('nodeIdOf', () => {
  it('leaves what is an id already, and makes one of anything else', () => {
    expect(nodeIdOf('emqx-10.0.0.1:1883')).toBe('emqx-10.0.0.1:1883');
    expect(nodeIdOf('emqx-fd00::1%eth0:1883')).toBe('emqx-fd00::1_eth0:1883');
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 300 }), (text) => checkNodeId(nodeIdOf(text))),
    );
  });

  it('tells long names apart by their ends', () => {
    const long = 'emqx@emqx-0.'.padEnd(100, 'x');
    expect(nodeIdOf(`${long}1`)).not.toBe(nodeIdOf(`${long}2`));
    expect(nodeIdOf(long)).toMatch(/^emqx@emqx-0\.x{43}-[0-9a-f]{8}$/);
  });
});

describe('hostOf an EMQX node', () => {
  it.each([
    ['emqx@10.0.0.5', '10.0.0.1', '10.0.0.5'],
    ['emqx@emqx-1.example', 'lb.example', 'emqx-1.example'],
    ['emqx@127.0.0.1', '10.0.0.1', '10.0.0.1'], // what a single EMQX calls itself
    ['emqx@127.0.0.2', '127.0.0.1', '127.0.0.2'],
  ])('%s, told by %s: %s', (node, apiHost, host) => {
    expect(hostOf(node, apiHost)).toBe(host);
  });
});
