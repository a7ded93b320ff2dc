import { expect, test } from 'vitest';
import type { BreakwaterError } from '../../../src/base/errors.ts';
import { noMoves } from '../../../src/data-plane-api/move-tally.ts';
import { createLocalClients, standstillOf } from '../../../src/proxy/local-clients.ts';

const meter = { clientId: 'meter' };

/** A proxy whose data threads find so many; `why`: devices stand still. */
function scene(found: number, why: () => BreakwaterError | undefined) {
  const records = Array.from({ length: found }, (_, connection) => ({
    clientId: 'meter',
    connection,
    ageMs: 0,
  }));
  return createLocalClients(
    {
      clients: async () => ({ clients: records as never, total: found, behind: found }),
      kick: async () => found,
      move: async () => ({ ...noMoves, moving: found }),
    },
    'edge-1',
    () => '',
    why,
  );
}

test('who is not found while devices stand still is not said to be unknown, and to whom that happens may try again', async () => {
  for (const [phase, awaited, code] of [
    [{ isUpgrading: true }, 0, 'UPGRADE_UNDER_WAY'],
    [{ isUpgrading: false }, 3, 'THREAD_UNAVAILABLE'],
  ] as const) {
    const still = scene(0, () => standstillOf(phase, awaited));
    const refused = { code, retryable: true };
    await expect(still.client(meter)).rejects.toMatchObject(refused);
    await expect(still.kick(meter)).rejects.toMatchObject(refused);
    await expect(still.move(meter, 'b')).rejects.toMatchObject(refused);
    const found = scene(1, () => standstillOf(phase, awaited));
    expect([(await found.client(meter)).length, await found.kick(meter)]).toEqual([1, 1]);
    expect(await found.move(meter, 'b')).toMatchObject({ moving: 1 });
    expect(await still.kick({ connection: 1, proxy: 'another' })).toBe(0);
  }
  expect(standstillOf({ isUpgrading: false }, 0)).toBeUndefined();
});

test('it matters too where they have stood still when it was asked, or do so by the answer', async () => {
  for (const states of [
    [true, false],
    [false, true],
  ]) {
    const still = scene(0, () => standstillOf({ isUpgrading: states.shift() === true }, 0));
    await expect(still.kick(meter)).rejects.toMatchObject({ code: 'UPGRADE_UNDER_WAY' });
  }
  expect(await scene(0, () => undefined).kick(meter)).toBe(0);
});
