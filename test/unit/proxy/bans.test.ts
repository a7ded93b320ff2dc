import { expect, test } from 'vitest';
import type { BreakwaterError } from '../../../src/base/errors.ts';
import type { BreakwaterEvent } from '../../../src/journal/event.ts';
import type { Ban } from '../../../src/policy/admission/bans.ts';
import { createBans } from '../../../src/proxy/bans.ts';

const START = Date.UTC(2026, 0, 1);

/** A store that holds what it is told. */
function scene() {
  const table = new Map<string, Ban>();
  const clock = { ms: START, now: () => clock.ms };
  const told: BreakwaterEvent[] = [];
  const admin = createBans({
    store: {
      ban: async (ban) => void table.set(ban.id, ban),
      unban: async (id) => table.delete(id),
    },
    ...{ bans: () => table, clock, events: { emit: (event) => told.push(event) } },
  });
  return { admin, table, clock, told };
}

test('a ban holds for so many seconds, is listed until then, newest first, and is told as an event', async () => {
  const { admin, clock, told } = scene();
  const first = await admin.ban({ clientId: 'meter-17', expires: 60, reason: 'noise', kick: true });
  expect(first).toEqual({
    ...{ id: expect.any(String), clientId: 'meter-17', reason: 'noise', kick: true },
    ...{ createdAt: '2026-01-01T00:00:00.000Z', expiresAt: '2026-01-01T00:01:00.000Z' },
  });
  clock.ms += 59_999;
  const second = await admin.ban({ username: 'guest' });
  expect(second).toEqual({
    ...{ id: expect.any(String), username: 'guest', kick: false, createdAt: '2026-01-01T00:00:59.999Z' },
  });
  expect(admin.bans()).toEqual([second, first]);
  clock.ms += 1;
  expect(admin.bans()).toEqual([second]);
  const { id: ban, createdAt: at, ...rest } = first;
  expect(told[0]).toEqual({ type: 'banned', at, ban, ...rest });
});

test('a ban of the same one replaces the first; one of another kind with the same value does not', async () => {
  const { admin } = scene();
  const { id } = await admin.ban({ clientId: 'a', expires: 5 });
  expect((await admin.ban({ clientId: 'a' })).id).toBe(id);
  expect((await admin.ban({ username: 'a' })).id).not.toBe(id);
  expect(admin.bans().map(({ expiresAt }) => expiresAt)).toEqual([undefined, undefined]);
});

test('a ban that is removed is gone, and one that is unknown is an error', async () => {
  const { admin, told } = scene();
  const { id } = await admin.ban({ clientCn: 'meter-17' });
  await admin.unban(id);
  expect(admin.bans()).toEqual([]);
  expect(told.at(-1)).toMatchObject({ type: 'unbanned', ban: id, clientCn: 'meter-17' });
  await expect(admin.unban(id)).rejects.toMatchObject({
    code: 'BAN_UNKNOWN',
  } satisfies Partial<BreakwaterError>);
  expect(told).toHaveLength(2);
});
