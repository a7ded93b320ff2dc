import { expect, test } from 'vitest';
import type { BreakwaterEvent } from '../../../../src/admin/backend.ts';
import { tellActivity } from '../../../../src/cli/commands/activity.ts';

const event = (type: BreakwaterEvent['type'], details: object): BreakwaterEvent => ({
  type,
  at: '',
  ...details,
});

test('tells a few devices one by one', () => {
  const lines = tellActivity([
    event('placed', { clientId: 'lamp', node: 'a' }),
    event('reattached', { clientId: 'lamp', from: 'a', to: 'b', cause: 'drain' }),
    event('ended', { clientId: 'lamp', node: 'a', reason: 'device-closed' }),
    event('rejected', { clientId: '', remoteAddress: '10.0.0.1', reason: 'not-mqtt' }),
  ]);
  expect(lines).toEqual([
    'device lamp → a',
    'device lamp moved a → b (drain)',
    'device lamp ended at a (device-closed)',
    'device 10.0.0.1 rejected (not-mqtt)',
  ]);
});

test('tells many devices in one line, and nodes always', () => {
  const placed = Array.from({ length: 9 }, (_, n) =>
    event('placed', { clientId: `${n}`, node: n < 6 ? 'b' : 'a' }),
  );
  const health = event('node-health', { node: 'a', health: 'unhealthy', cause: 'refused' });
  expect(tellActivity([...placed, health])).toEqual([
    'node a unhealthy (refused)',
    'devices: 9 connected (a 3, b 6)',
  ]);
});

test('nothing happened, nothing told', () => {
  expect(tellActivity([])).toEqual([]);
});
