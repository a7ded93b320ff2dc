import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectAgain, connectAs, connectToPurge, willDelay } from '../../../src/session/connect-again.ts';
import { keepAliveMs } from '../../../src/session/index.ts';
import { hashOf } from '../../../src/session/publish.ts';
import { Subscriptions } from '../../../src/session/subscriptions.ts';
import { matches } from '../../../src/session/topic-filter.ts';
import { bytesOf, packetsIn, textOf } from './packet-text.ts';

const text = (value: string) => new TextEncoder().encode(value);

describe('subscriptions', () => {
  it('keep filter, options and identifier, one for each filter', () => {
    // The long one goes beyond what is packed into one string.
    const entry = fc.record({
      filter: fc.constantFrom('a', 'a/b', 'ä/#', '$share/g/+', 'ö'.repeat(200), 'x'.repeat(300)),
      options: fc.nat(255),
      identifier: fc.nat(268_435_455),
      drop: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const subscriptions = new Subscriptions();
        const model = new Map<string, object>();
        for (const { filter, options, identifier, drop } of entries) {
          model.delete(filter);
          if (drop) subscriptions.delete(text(filter));
          else subscriptions.set({ filter: text(filter), options, identifier });
          if (!drop) model.set(filter, { filter: text(filter), options, identifier });
        }
        expect([...subscriptions]).toEqual([...model.values()]);
        expect(subscriptions.count).toBe(model.size);
      }),
    );
  });
});

describe('topic filters [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1]', () => {
  it.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/bc', false],
    ['a/b', 'a', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a/', true],
    ['a/+', 'a', false],
    ['a/+/c', 'a/b/c', true],
    ['+/+', '/finance', true],
    ['+', '/finance', false],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['#', 'a/b', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true],
    ['$share/g/a/+', 'a/b', true],
    ['$share/g/#', 'a', true],
  ])('%s and %s: %s', (filter, topic, expected) => {
    expect(matches(text(filter), text(`x${topic}`), 1, 1 + text(topic).length)).toBe(expected);
  });
});

describe('CONNECT, again', () => {
  const v5 = 'CONNECT id=dev clean keepalive=7 user=me password=pw will=gone receiveMaximum:5';

  it('changes the client id and Clean Start only, also where the length field grows', () => {
    const id = 'x'.repeat(200);
    for (const [version, connect] of [
      [5, v5],
      [4, v5.replace(/ r.*/, '')],
      [3, 'CONNECT id=dev clean'],
    ] as const) {
      const raw = bytesOf(connect, version);
      const again = [false, true].flatMap((anew) =>
        packetsIn(connectAgain(raw, text(id), anew), version).map(textOf),
      );
      expect(again).toEqual([
        connect.replace('id=dev clean', `id=${id}`),
        connect.replace('id=dev', `id=${id}`),
      ]);
      expect(packetsIn(connectAs(raw, text(id)), version).map(textOf)).toEqual([
        connect.replace('id=dev', `id=${id}`),
      ]);
      expect(Buffer.from(connectAs(raw, undefined))).toEqual(raw);
    }
  });

  it('purges clean, with the credentials and without the Will', () => {
    const raw = bytesOf('CONNECT id=dev user=me password=pw will=gone', 4);
    const purge = packetsIn(connectToPurge(raw, undefined), 4).map(textOf);
    expect(purge).toEqual(['CONNECT id=dev clean user=me password=pw']);
    const bare = packetsIn(connectToPurge(bytesOf('CONNECT id=dev', 3), undefined), 3).map(textOf);
    expect(bare).toEqual(['CONNECT id=dev clean']);
  });

  it('asks for a newcomer with MQTT 5 too, whose Will has properties', () => {
    for (const will of ['', ' willDelayInterval:70000']) {
      const newcomer = connectToPurge(bytesOf(`${v5}${will}`, 5), text('new'));
      expect(packetsIn(newcomer, 5).map(textOf)).toEqual([
        'CONNECT id=new clean keepalive=7 user=me password=pw receiveMaximum:5',
      ]);
    }
  });

  it('knows the Will Delay Interval', () => {
    expect(willDelay(bytesOf(`${v5} willDelayInterval:70000`, 5))).toBe(70_000);
    expect(willDelay(bytesOf(v5, 5))).toBe(0);
    expect(willDelay(bytesOf('CONNECT id=dev', 5))).toBe(0);
  });
});

it('tells payloads apart by length, beginning and end', () => {
  const large = new Uint8Array(10_000);
  const hashes = [
    large,
    large.with(0, 1),
    large.with(9_999, 1),
    new Uint8Array(9_999),
    new Uint8Array(0),
  ].map((payload) => hashOf(payload, 0, payload.length));
  expect(new Set(hashes).size).toBe(hashes.length);
});

it('a keep-alive of 0 is none [MQTT-3.1.2-22]', () => {
  expect([keepAliveMs(10), keepAliveMs(0)]).toEqual([10_000, Number.POSITIVE_INFINITY]);
});
