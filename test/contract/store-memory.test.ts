import { expect, test } from 'vitest';
import { MemoryStore } from '../../src/membership/store/memory.ts';
import { BANS_MAX } from '../../src/policy/admission/bans.ts';
import { ban, Recorder, storeContract } from './store.ts';

storeContract('memory', () => ({ store: () => new MemoryStore() }));

test('bans go over to the next process, and are bounded', async () => {
  const all = Array.from({ length: BANS_MAX }, (_, i) => ban('clientId', `d${i}`));
  const store = new MemoryStore();
  const heard = new Recorder();
  store.restore({ ...new MemoryStore().describe(), bans: all });
  await store.open(heard);
  expect([...heard.bans.values()]).toEqual(all);
  await expect(store.ban(ban('clientId', 'one more'))).rejects.toMatchObject({ code: 'BAN_LIMIT' });
  const again = ban('clientId', 'd7', { reason: 'again' });
  await store.ban(again);
  expect(heard.bans.get(again.id)).toEqual(again);
  expect(store.describe().bans).toHaveLength(BANS_MAX);
});
