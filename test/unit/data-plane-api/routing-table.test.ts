import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endReasons } from '../../../src/connection/connection-host.ts';
import {
  createTableMemory,
  durationBuckets,
  openTable,
  type Slot,
  TableWriter,
} from '../../../src/data-plane-api/routing-table.ts';
import { TableReader } from '../../../src/data-plane-api/table-reader.ts';
import { MAX_NODES } from '../../../src/nodes/node.ts';
import type { NodeRoute } from '../../../src/nodes/route.ts';

const THREADS = 2;

/** The writer of control and the reader of each thread, over the same memory. */
function openAll() {
  const memory = createTableMemory(THREADS);
  const reader = (thread: number) => new TableReader(openTable(memory, THREADS), thread);
  return { memory, writer: new TableWriter(openTable(memory, THREADS)), first: reader(0), second: reader(1) };
}

const node = (id: string, changes: Partial<NodeRoute> = {}): NodeRoute => ({
  id,
  pool: 0,
  host: '10.0.0.1',
  port: 1883,
  serverName: '',
  weight: 10,
  maxConnections: 0,
  connectRate: 0,
  enabled: true,
  usable: true,
  busy: false,
  ...changes,
});

const slotOf = (slots: readonly Slot[] | undefined, id: string): number =>
  slots?.find((slot) => slot.id === id)?.slot ?? -1;

describe('what control writes, threads read', () => {
  const state = fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9._:@-]{1,64}$/),
    pool: fc.nat(100),
    host: fc.oneof(fc.ipV4(), fc.ipV6()),
    otherHosts: fc.oneof(fc.constant(undefined), fc.array(fc.ipV6(), { minLength: 1, maxLength: 7 })),
    port: fc.integer({ min: 1, max: 65_535 }),
    weight: fc.integer({ min: 1, max: 100 }),
    maxConnections: fc.nat(),
    connectRate: fc.nat(),
    enabled: fc.boolean(),
    serverName: fc.constantFrom('', 'node.test', 'n'.repeat(253)),
    usable: fc.boolean(),
    busy: fc.boolean(),
  });

  test('any nodes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(state, { maxLength: 20, selector: ({ id }) => id }), (states) => {
        const { writer, first } = openAll();
        for (const each of states) writer.put(each);
        expect(first.changed()).toEqual(states.map((each, slot) => ({ ...each, slot })));
      }),
    );
  });

  test('once: a second look finds nothing new until the next change', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a'));
    expect(first.changed()).toHaveLength(1);
    expect(first.changed()).toBeUndefined();
    writer.put(node('a', { weight: 20 }));
    expect(first.changed()).toMatchObject([{ id: 'a', slot: 0, weight: 20 }]);
    expect(second.changed()).toHaveLength(1);
    writer.remove('a');
    expect(first.changed()).toEqual([]);
  });

  test('a node without an address takes nobody', () => {
    const { writer, first } = openAll();
    writer.put(node('a', { host: '' }));
    expect(first.changed()).toMatchObject([{ enabled: false }]);
  });

  test('a shorter id leaves nothing of the longer one that had its slot', () => {
    const { writer, first } = openAll();
    writer.put(node('long-name', { host: '2001:db8::1' }));
    writer.remove('long-name');
    writer.put(node('b'));
    expect(first.changed()).toMatchObject([{ id: 'b', host: '10.0.0.1' }]);
  });
});

describe('a reader never takes a set that is half written', () => {
  test('it keeps what it has while control writes, and reads the whole afterwards', () => {
    const { memory, writer, first } = openAll();
    writer.put(node('a'));
    first.changed();
    const { header } = openTable(memory, THREADS);
    Atomics.add(header, 0, 1); // control has begun to write
    expect(first.changed()).toBeUndefined();
    Atomics.add(header, 0, 1);
    expect(first.changed()).toHaveLength(1);
  });

  test('nor one that control began to write while it read', () => {
    const { memory, writer } = openAll();
    writer.put(node('a'));
    const table = openTable(memory, THREADS);
    let interrupts = 1;
    const flags = new Proxy(table.flags, {
      get(target, key) {
        if (key === '0' && interrupts-- > 0) writer.put(node('a', { weight: 99 }));
        return Reflect.get(target, key);
      },
    });
    const reader = new TableReader({ ...table, flags }, 0);
    reader.changed();
    interrupts = 1;
    writer.put(node('a', { weight: 50 }));
    expect(reader.changed()).toBeUndefined();
    expect(reader.changed()).toMatchObject([{ weight: 99 }]);
  });

  test('but one that has none yet, or cannot do with what it has, reads again until it is whole', () => {
    const { memory, writer } = openAll();
    writer.put(node('a'));
    const table = openTable(memory, THREADS);
    let interrupts = 20;
    const flags = new Proxy(table.flags, {
      get(target, key) {
        if (key === '0' && interrupts-- > 0) writer.put(node('a', { weight: 10 + interrupts }));
        return Reflect.get(target, key);
      },
    });
    const reader = new TableReader({ ...table, flags }, 0);
    expect(reader.changed()).toMatchObject([{ weight: 10 }]);
    interrupts = 20;
    writer.put(node('a', { weight: 99 }));
    expect(reader.changed(true)).toMatchObject([{ weight: 10 }]);
    expect(reader.changed(true)).toBeUndefined();
  });

  test('and waits for a writer that is held up in the middle', async () => {
    const { memory, writer } = openAll();
    writer.put(node('a'));
    const { header } = openTable(memory, THREADS);
    Atomics.add(header, 0, 1); // control has begun to write
    const ends =
      "setTimeout(() => Atomics.add(new Int32Array(require('worker_threads').workerData), 0, 1), 20)";
    const control = new Worker(ends, { eval: true, workerData: memory });
    await once(control, 'online');
    expect(new TableReader(openTable(memory, THREADS), 0).changed()).toHaveLength(1);
    await once(control, 'exit');
  });
});

describe('counts', () => {
  test('of all threads are seen by all, at once', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a'));
    first.takeConnection(0, 0);
    second.takeConnection(1, 0);
    second.takeConnection(1, 0);
    expect([first.connections(0), second.liveAt(0), writer.liveAt('a')]).toEqual([3, 3, 3]);
    expect([writer.liveByListener('a', 0), writer.liveByListener('a', 1)]).toEqual([1, 2]);
  });

  test('are counted for good as they begin, but for those that found no place', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a', { maxConnections: 2 }));
    for (const thread of [first, second, first]) thread.takeConnection(0, 0);
    expect(writer.connectsAt('a')).toBe(2);
    first.releaseConnection(0, 0);
    expect(writer.connectsAt('a')).toBe(2);
    second.releaseConnection(0, 0);
    writer.remove('a');
    writer.put(node('b')); // in the slot that a had
    writer.put(node('c'));
    expect([writer.connectsAt('b'), writer.connectsAt('c'), writer.connectsAt('a')]).toEqual([0, 0, 0]);
  });

  test('of a node end where it has as many as it may, over all threads and proxies', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a', { maxConnections: 3 }));
    writer.setRemote('a', 1);
    expect([first, second, first, second].map((thread) => thread.takeConnection(0, 0))).toEqual([
      ...[true, true, false, false],
    ]);
    expect([writer.liveAt('a'), writer.liveByListener('a', 0)]).toEqual([2, 2]);
    first.releaseConnection(0, 0);
    expect(second.takeConnection(0, 0)).toBe(true);
    writer.put(node('a', { maxConnections: 0 }));
    expect(second.takeConnection(0, 0)).toBe(true);
  });

  test('of other proxies weigh in a pick, but are not our own', () => {
    const { writer, first } = openAll();
    writer.put(node('a'));
    writer.setRemote('a', 40);
    first.takeConnection(0, 0);
    expect([first.connections(0), first.liveAt(0), writer.liveAt('a')]).toEqual([41, 1, 1]);
  });

  test('of a thread that died are given back, those of the others stay', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a'));
    for (const reader of [first, first, second]) {
      reader.countDevice(1);
      reader.takeConnection(1, 0);
      reader.count('eventsDropped', 1);
    }
    writer.releaseThread(0)(1);
    expect([writer.liveAt('a'), writer.liveByListener('a', 1), writer.devices()]).toEqual([1, 1, 1]);
    expect(writer.counter('eventsDropped')).toBe(3); // a total never goes back
    writer.releaseThread(0)(1);
    expect([writer.liveAt('a'), writer.devices()]).toEqual([1, 1]);
  });

  test('of a thread that died are given back in parts as others count its devices anew', () => {
    const { writer, first, second } = openAll();
    writer.put(node('a'));
    for (let i = 0; i < 10; i++) {
      first.countDevice(1);
      first.takeConnection(1, 0);
    }
    const giveBack = writer.releaseThread(0);
    expect([writer.liveAt('a'), writer.devices()]).toEqual([10, 10]);
    for (let done = 1; done <= 10; done++) {
      second.countDevice(1);
      second.takeServed(1, 0);
      giveBack(done / 10);
      expect([writer.liveAt('a'), writer.devices()]).toEqual([10, 10]);
    }
    expect(writer.liveByListener('a', 1)).toBe(10);
  });

  test('of devices: told is how many there were before', () => {
    const { writer, first, second } = openAll();
    expect([first.countDevice(1), second.countDevice(1), first.countDevice(-1)]).toEqual([0, 1, 2]);
    expect(writer.devices()).toBe(1);
  });

  test('of accepted and rejected devices; a reason that is not in the list is not counted as another', () => {
    const { writer, first, second } = openAll();
    first.countAccepted(3);
    second.countAccepted(3);
    first.countRejected('banned');
    first.countRejected('no such reason');
    expect([writer.accepted(3), writer.accepted(2)]).toEqual([2, 0]);
    expect([writer.rejected('banned'), writer.rejected('not-mqtt')]).toEqual([1, 0]);
  });

  test('of dials lie in the bucket whose upper bound is the first not below', () => {
    const { writer, first, second } = openAll();
    for (const seconds of [0, 0.001, 0.0011, 10]) first.observeDial(seconds);
    second.observeDial(11);
    const { bounds, counts, sum } = writer.dials();
    expect(bounds).toBe(durationBuckets);
    expect([counts[0], counts[1], counts[12], counts[13]]).toEqual([2, 1, 1, 1]);
    expect(sum).toBeCloseTo(21.0021);
    expect(writer.connects().sum).toBe(0);
    first.observeConnect(0.3);
    expect(writer.connects().counts[8]).toBe(1);
    expect([writer.connects().sum, writer.dials().sum, writer.accepted(0)]).toEqual([0.3, sum, 0]);
  });
});

describe('slots', () => {
  test('a slot is used again only when nobody is counted at it any more', () => {
    const { writer, first } = openAll();
    writer.put(node('a'));
    first.takeConnection(0, 0);
    writer.remove('a');
    writer.put(node('b'));
    expect(slotOf(first.changed(), 'b')).toBe(1);
    first.releaseConnection(0, 0);
    writer.put(node('c'));
    expect(slotOf(first.changed(), 'c')).toBe(0);
  });

  test('what other proxies had at the node before is not the new one`s', () => {
    const { writer, first } = openAll();
    writer.put(node('a'));
    writer.setRemote('a', 40);
    writer.remove('a');
    writer.put(node('b'));
    expect(first.connections(0)).toBe(0);
  });

  test('an unknown node has no connections, and removing it is nothing', () => {
    const { writer, first } = openAll();
    writer.remove('a');
    expect([writer.liveAt('a'), writer.liveByListener('a', 0), first.changed()]).toEqual([0, 0, []]);
  });

  test('when all are taken, TABLE_FULL says so, and room is made by removing one', () => {
    const { writer } = openAll();
    for (let i = 0; i < MAX_NODES; i++) writer.put(node(`n${i}`));
    expect(() => writer.put(node('one-more'))).toThrow(expect.objectContaining({ code: 'TABLE_FULL' }));
    writer.put(node('n7', { weight: 20 })); // a node that is there can still change
    writer.remove('n7');
    writer.put(node('one-more'));
  });
});

describe('what departs, and what ends', () => {
  test('a node that was removed is still counted while connections are there, and comes back to its slot', () => {
    const { writer, first } = openAll();
    writer.put(node('a'));
    const slot = slotOf(first.changed(), 'a');
    first.takeConnection(0, slot);
    writer.remove('a');
    expect(writer.liveAt('a')).toBe(1);
    expect(writer.liveByNode()).toEqual([]);
    writer.put(node('b'));
    writer.put(node('a'));
    expect(slotOf(first.changed(), 'a')).toBe(slot);
    expect(writer.liveByNode()).toEqual([['a', 1]]);
  });

  test('a slot that a departed node no longer uses is not counted as its own', () => {
    const { writer, first } = openAll();
    writer.put(node('a'));
    const slot = slotOf(first.changed(), 'a');
    writer.remove('a');
    writer.put(node('b'));
    expect(slotOf(first.changed(), 'b')).toBe(slot);
    first.takeConnection(0, slot);
    expect(writer.liveAt('a')).toBe(0);
  });

  test('ends are counted by reason, messages by type and side, over all threads', () => {
    const { writer, first, second } = openAll();
    first.countEnded('kicked');
    second.countEnded('kicked');
    second.countEnded('shutdown');
    expect(endReasons.map((reason) => writer.ended(reason)).filter((count) => count > 0)).toEqual([2, 1]);
    for (const { messages } of [first, second]) messages[3] = (messages[3] ?? 0) + 1;
    first.messages[16 + 4] = 7;
    expect([writer.messages(0, 3), writer.messages(1, 4), writer.messages(0, 4)]).toEqual([2, 7, 0]);
    expect(writer.accepted(63)).toBe(0);
  });
});

test('what speaks against the node of a slot is read as it lies there', () => {
  const { writer, first } = openAll();
  writer.put(node('a'));
  expect(first.faultOf(0)).toBe(undefined);
  writer.put(node('a', { busy: true }));
  expect(first.faultOf(0)).toBe(undefined);
  writer.put(node('a', { usable: false }));
  expect(first.faultOf(0)).toBe('unhealthy');
  writer.put(node('a', { enabled: false, usable: false }));
  expect(first.faultOf(0)).toBe('leaving');
  writer.remove('a');
  expect(first.faultOf(0)).toBe('removed');
});

test('connections are numbered on behind those of the process before, though that still numbers some', () => {
  for (const last of [0, 5, 2 ** 31 + 7, 2 ** 32 - 1]) {
    const table = openTable(createTableMemory(1), 1);
    const [writer, reader] = [new TableWriter(table), new TableReader(table, 0)];
    writer.numberBehind(last);
    expect(writer.lastNumber).toBe((last + 2 ** 20) % 2 ** 32);
    expect(reader.nextNumber()).toBe((last + 2 ** 20 + 1) % 2 ** 32);
  }
});
