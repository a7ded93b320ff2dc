import { expect, test } from 'vitest';
import type { HandedDevice } from '../../../src/data-plane-api/hand-over-messages.ts';
import { succeed } from '../../../src/proxy/thread-succession.ts';

function scene(survivors: number) {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push([name, ...args]);
  const devices = Array.from(
    { length: survivors },
    (_, i) => ({ accepted: i === 0 ? undefined : { clientId: `d${i}` } }) as HandedDevice,
  );
  const settle = succeed(3, devices, {
    table: { releaseThread: () => note('give back') },
    owners: { forget: note('owners forget'), owned: note('owned') },
    claims: { forget: note('claims forget'), departed: note('departed'), wentOver: note('went over') },
    log: { info: note('log') },
  });
  return { settle, devices, calls };
}

test('without survivors all is given back at once', () => {
  expect(scene(0).calls).toEqual([
    ['owners forget', 3],
    ['claims forget', 3, []],
    ['give back', 1],
  ]);
});

test('survivors are counted until they are counted elsewhere, and keep their claims; those that end lose them', () => {
  const { settle, devices, calls } = scene(4);
  expect(calls).toEqual([
    ['owners forget', 3],
    ['claims forget', 3, [{ clientId: 'd1' }, { clientId: 'd2' }, { clientId: 'd3' }]],
  ]);
  calls.length = 0;
  settle(devices.slice(0, 2), 5);
  expect(calls.splice(0)).toEqual([
    ['give back', 0.5],
    ['went over', { clientId: 'd1' }, 3, 5],
    ['owned', 5, { clientId: 'd1' }],
  ]);
  settle(devices.slice(2), undefined);
  expect(calls).toEqual([
    ['give back', 1],
    ['departed', { clientId: 'd2' }],
    ['departed', { clientId: 'd3' }],
    ['log', { thread: 3, devices: 2, ended: 2 }, 'devices of the dead data thread go on'],
  ]);
});
