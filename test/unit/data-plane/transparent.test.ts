import { describe, expect, it } from 'vitest';
import type { Target } from '../../../src/connection/wire.ts';
import { transparent } from '../../../src/data-plane/transparent.ts';

const v4: Target = { slot: 0, nodeId: 'a', host: '10.0.0.1', port: 1883 };
const v6: Target = { slot: 1, nodeId: 'b', host: 'fd00::1', port: 1883 };
const seen = (device: string) => [...transparent([v4, v6, v4][Symbol.iterator]() as never, device)];

describe('transparent candidates', () => {
  it('are dialled from the address of the device', () => {
    const from = { sourceAddress: '192.0.2.7', isTransparent: true };
    expect(seen('192.0.2.7')).toEqual([
      { ...v4, ...from },
      { ...v4, ...from },
    ]);
  });

  it('are only those of its family', () => {
    expect(seen('2001:db8::7').map(({ nodeId }) => nodeId)).toEqual(['b']);
  });
});
