import { expect, test } from 'vitest';
import { createSealing } from '../../../src/membership/store/sealing.ts';
import { createTicketKeys, ROTATE_MS } from '../../../src/proxy/ticket-keys.ts';

const sealing = createSealing({ secret: 'a secret of a cluster', acceptsUnsigned: false }, 'c');
const clock = { at: 1, now: () => clock.at };

function sharedStore() {
  let there: string | undefined;
  return {
    text: () => there ?? '',
    put: (text: string) => {
      there = text;
    },
    share: async (_name: string, next: string, before?: string) => {
      if (there === undefined || there === before) there = next;
      return there;
    },
  };
}

function proxy(store: Pick<ReturnType<typeof sharedStore>, 'share'>, with_ = true) {
  const told: number[] = [];
  const tickets = createTicketKeys({
    ...{ store, sealing: with_ ? sealing : undefined, clock },
    onChange: (keys) => told.push(keys.length),
  });
  return {
    look: tickets.look,
    told,
    keys: () => tickets.keys().map((key) => Buffer.from(key).toString('hex')),
  };
}

test('proxies with one secret have the same keys, and make new ones together', async () => {
  const store = sharedStore();
  const [one, two] = [proxy(store), proxy(store)];
  for (const each of [one, two, one, two]) await each.look();
  expect(two.keys()).toEqual(one.keys());
  const [first] = one.keys();
  clock.at += ROTATE_MS;
  await Promise.all([one.look(), two.look()]);
  for (const each of [one, two]) await each.look();
  expect(two.keys()).toEqual(one.keys());
  expect(one.keys()).toHaveLength(2);
  expect(one.keys()[1]).toBe(first);
  clock.at += ROTATE_MS;
  for (const each of [two, one, two]) await each.look();
  expect([one.keys(), one.keys().includes(first ?? '')]).toEqual([two.keys(), false]);
});

test('looking changes nothing in between', async () => {
  const store = sharedStore();
  const one = proxy(store);
  await one.look();
  const before = [store.text(), ...one.keys()];
  for (let time = 0; time < 5; time++) await one.look();
  expect([store.text(), ...one.keys()]).toEqual(before);
});

test('the store holds none of them in clear, and what nobody can open gives way', async () => {
  const store = sharedStore();
  store.put('nonsense');
  const [one, two] = [proxy(store), proxy(store)];
  for (const each of [one, two, one, two]) await each.look();
  expect(two.keys()).toEqual(one.keys());
  for (const key of one.keys()) {
    const bytes = Buffer.from(key, 'hex');
    for (const text of [key, bytes.toString('base64').slice(0, 40)]) expect(store.text()).not.toContain(text);
  }
});

test('a store that has lost them is given them back', async () => {
  const store = sharedStore();
  const [one, two] = [proxy(store), proxy(store)];
  for (const each of [one, two]) await each.look();
  const before = one.keys();
  store.put(undefined as unknown as string);
  for (const each of [one, two]) await each.look();
  expect([one.keys(), two.keys()]).toEqual([before, before]);
});

test('without a secret each has its own, and they change too', async () => {
  const store = sharedStore();
  const [one, two] = [proxy(store, false), proxy(store, false)];
  for (const each of [one, two]) await each.look();
  expect(store.text()).toBe('');
  expect(one.keys()).not.toEqual(two.keys());
  const [first] = one.keys();
  clock.at += ROTATE_MS;
  await one.look();
  expect(one.keys()).toHaveLength(2);
  expect([one.keys()[0] === first, one.keys()[1] === first, one.told]).toEqual([false, true, [2]]);
});
