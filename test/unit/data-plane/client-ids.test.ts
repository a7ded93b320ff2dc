import { describe, expect, test } from 'vitest';
import { ClientIds, identityOf } from '../../../src/data-plane/client-ids.ts';
import type { WorkerEvent } from '../../../src/data-plane-api/messages.ts';
import { createOwners } from '../../../src/proxy/owners.ts';

interface Device {
  readonly name: string;
  readonly clientId: string;
  readonly route: { readonly name: string };
  acceptedAtMs: number;
  who: number;
  superseded(isSame: boolean): void;
}

/** WorkerPool and the main thread between them, which is told nothing before `hears`; what one thread says keeps its order. */
function stage(threads = 1) {
  const marked: string[] = [];
  const said: (() => void)[][] = Array.from({ length: threads }, () => []);
  let nowMs = 0;
  const owners = createOwners((thread, accepted) => ids[thread]?.supersede(accepted));
  const ids = Array.from({ length: threads }, (_, thread) => {
    const tell = (event: WorkerEvent) =>
      void said[thread]?.push(() => {
        if (event.type === 'owned') owners.owned(thread, event);
        if (event.type === 'disowned') owners.disowned(thread, event.pool, event.clientId);
      });
    return new ClientIds<Device>({ now: () => ++nowMs, tell: threads > 1 ? tell : undefined });
  });
  return {
    marked,
    /** `name` is `alice.1`: what is before the dot is who it is. */
    connects(name: string, { thread = 0, pool = 'default', clientId = 'dev' } = {}): Device {
      const superseded = (isSame: boolean) => marked.push(`${name} ${isSame ? 'same' : 'other'}`);
      const device = { name, clientId, route: { name: pool }, acceptedAtMs: 0, who: 0, superseded };
      ids[thread]?.add(device);
      ids[thread]?.accept(device, name.charCodeAt(0));
      return device;
    },
    leaves: (device: Device, thread = 0) => ids[thread]?.delete(device),
    named: (clientId = 'dev', thread = 0) =>
      [...(ids[thread]?.named(clientId) ?? [])].map(({ name }) => name),
    /** All that one thread has said, then all that the next has, until nobody says anything. */
    hears(order: readonly number[]): void {
      while (said.some(({ length }) => length > 0)) {
        for (const thread of order) for (const event of said[thread]?.splice(0) ?? []) event();
      }
    },
  };
}

describe('an accepted connection marks the one before it (rule 14) [MQTT-3.1.4-3]', () => {
  test('of the same device, which is still there', () => {
    const { connects, marked, named } = stage();
    connects('alice.1');
    connects('alice.2');
    connects('alice.3');
    expect(marked).toEqual(['alice.1 same', 'alice.2 same']);
    expect(named()).toEqual(['alice.1', 'alice.2', 'alice.3']);
  });

  test('of another device with that client id, for what it is', () => {
    const { connects, marked } = stage();
    connects('alice.1');
    connects('bob.1');
    connects('alice.2');
    expect(marked).toEqual(['alice.1 other', 'alice.1 same', 'bob.1 other']);
  });

  test('of that pool only', () => {
    const { connects, marked, named } = stage();
    connects('alice.1', { pool: 'north' });
    connects('alice.2', { pool: 'south' });
    expect(marked).toEqual([]);
    expect(named()).toEqual(['alice.1', 'alice.2']);
    connects('alice.3', { pool: 'north' });
    expect(marked).toEqual(['alice.1 same']);
  });

  test('and nobody when it has left', () => {
    const { connects, leaves, marked, named } = stage();
    const first = connects('alice.1');
    leaves(first);
    expect(named()).toEqual([]);
    const second = connects('alice.2');
    const third = connects('alice.3');
    leaves(third);
    leaves(second);
    connects('alice.4');
    expect(marked).toEqual(['alice.2 same']);
    expect(named()).toEqual(['alice.4']);
  });

  test('at a cost that does not grow with their number', () => {
    const { connects, leaves, marked, named } = stage();
    const many = Array.from({ length: 20_000 }, (_, i) => connects(`${i % 2 ? 'alice' : 'bob'}.${i}`));
    expect(marked).toHaveLength(2 * many.length - 3);
    for (const device of many) leaves(device);
    expect(named()).toEqual([]);
  });
});

test('who accepts and who marks learns whether there was an older one', () => {
  const ids = new ClientIds<Device>({ now: () => 5, tell: undefined });
  const accept = (pool: string): boolean => {
    const device: Device = {
      ...{ name: 'any', clientId: 'dev', route: { name: pool }, acceptedAtMs: 0, who: 0 },
      superseded: () => {},
    };
    ids.add(device);
    return ids.accept(device, 1);
  };
  const newer = { pool: 'a', clientId: 'dev', who: 2 };
  expect([ids.supersede({ ...newer, sinceMs: 5 }), accept('a')]).toEqual([false, false]);
  expect([ids.supersede({ ...newer, sinceMs: 4 }), ids.supersede({ ...newer, sinceMs: 5 })]).toEqual([
    false,
    true,
  ]);
  expect([accept('b'), accept('a'), ids.supersede({ ...newer, sinceMs: 5 })]).toEqual([false, true, true]);
});

test('one whose login nobody saw end is found, marks nobody, and is not marked', () => {
  const ids = new ClientIds<Device>({ now: () => 1, tell: undefined });
  const relayed: Device = {
    ...{ name: 'relayed', clientId: 'dev', route: { name: 'default' }, acceptedAtMs: 0, who: 0 },
    superseded: () => expect.unreachable(),
  };
  const accepted = { ...relayed, name: 'accepted' };
  ids.add(relayed);
  ids.add(accepted);
  ids.accept(accepted, 0);
  expect([...ids.named('dev')]).toEqual([relayed, accepted]);
  ids.delete(relayed);
  ids.delete(accepted);
  expect([...ids.named('dev')]).toEqual([]);
});

test('an empty client id is nobody’s', () => {
  const { connects, leaves, marked, named } = stage();
  const [one, two] = [connects('alice.1', { clientId: '' }), connects('alice.2', { clientId: '' })];
  expect(marked).toEqual([]);
  expect(named('')).toEqual([]);
  leaves(one);
  leaves(two);
});

describe('over threads', () => {
  test.each([
    { order: [0, 1] },
    { order: [1, 0] },
  ])('a device that is back at its first thread at once is not marked for where it was between (%o)', ({
    order,
  }) => {
    const { connects, hears, marked } = stage(2);
    connects('alice.1');
    connects('alice.2', { thread: 1 });
    connects('alice.3');
    hears(order);
    expect([...new Set(marked)].sort()).toEqual(['alice.1 same', 'alice.2 same']);
  });

  test('a device of another pool is left alone, and one that left is forgotten', () => {
    const { connects, leaves, hears, marked } = stage(2);
    connects('alice.1', { pool: 'north' });
    const second = connects('alice.2', { thread: 1, pool: 'south' });
    hears([0, 1]);
    leaves(second, 1);
    hears([0, 1]);
    connects('alice.3', { pool: 'south' });
    hears([0, 1]);
    expect(marked).toEqual([]);
  });

  test('another device is told apart', () => {
    const { connects, hears, marked } = stage(2);
    connects('alice.1');
    connects('bob.1', { thread: 1 });
    hears([0, 1]);
    expect(marked).toEqual(['alice.1 other']);
  });
});

describe('who a device is', () => {
  const identity = (username?: string, clientCertificateCn?: string) =>
    identityOf({ connect: { username }, peer: { tls: { clientCertificateCn } } } as never);

  test('is told by its username and its certificate', () => {
    const all = [
      identity(),
      identity('alice'),
      identity('bob'),
      identity('alice', 'cn'),
      identity('cn', 'alice'),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(identity('alice', 'cn')).toBe(identity('alice', 'cn'));
  });

  test('is told by what a proxy before us says of the certificate', () => {
    const told = { type: 0x20, value: Buffer.from([3, 0, 0, 0, 0, 0x22, 0, 2, ...Buffer.from('cn')]) };
    const behind = identityOf({ connect: { username: 'alice' }, peer: { tlvs: [told] } } as never);
    expect(behind).toBe(identity('alice', 'cn'));
  });

  test('is a small integer, which costs no memory of its own', () => {
    for (const username of ['a', 'b', 'some-longer-name', 'ä'.repeat(99)])
      expect(identity(username)).toBe(identity(username) | 0);
  });
});

describe('between two processes', () => {
  const device = (name: string, acceptedAtMs: number, marked: string[], who = 1): Device => ({
    ...{ name, clientId: 'dev', route: { name: 'default' }, acceptedAtMs, who },
    superseded: (isSame) => marked.push(`${name} ${isSame ? 'same' : 'other'}`),
  });

  test('connections are those that they were, in whichever order they come, and nobody is told', () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const [told, marked]: [WorkerEvent[], string[]] = [[], []];
      const ids = new ClientIds<Device>({ now: () => 300, tell: (event) => told.push(event) });
      const devices = [device('older', 100, marked), device('newer', 200, marked)];
      for (const index of order) ids.revive(devices[index] as Device);
      // What the other process knew of marks is in the connection itself.
      const known = order[0] === 0 ? [] : ['older same'];
      expect([told, marked]).toEqual([[], known]);
      ids.supersede({ pool: 'default', clientId: 'dev', who: 1, sinceMs: 250 });
      expect(marked).toEqual([...known, 'newer same']);
    }
  });

  test('one that comes behind a newer connection is marked, as that device’s or as another’s', () => {
    const marked: string[] = [];
    const ids = new ClientIds<Device>({ now: () => 300, tell: undefined });
    ids.add(device('newer', 200, marked));
    ids.revive(device('older', 100, marked));
    ids.revive(device('stranger', 150, marked, 2));
    expect(marked).toEqual(['older same', 'stranger other']);
    ids.supersede({ pool: 'default', clientId: 'dev', who: 2, sinceMs: 300 });
    expect(marked.slice(2)).toEqual(['stranger same', 'newer other']);
  });

  test('one that has gone to another process is not here, and nobody is told', () => {
    const told: WorkerEvent[] = [];
    const ids = new ClientIds<Device>({ now: () => 300, tell: (event) => told.push(event) });
    const one = device('one', 100, []);
    ids.revive(one);
    ids.forget(one);
    expect([[...ids.named('dev')], told]).toEqual([[], []]);
  });
});
