import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCodec } from '../../../../src/membership/store/codec.ts';
import { type Kind, shapes } from '../../../../src/membership/store/records.ts';
import type { Skipped } from '../../../../src/membership/store/store.ts';
import { beat, node } from '../../../contract/store.ts';

const here = { key: 'nodes', field: 'a' };
const kinds = Object.keys(shapes) as Kind[];

const samples: Partial<Record<Kind, object>> = {
  node: { ...node('a'), maxConnections: 10, probeUrl: 'http://a/status', leaving: true },
  decision: { state: 'draining', weight: 7, maxConnections: 0, removed: true },
  proxy: beat('one', { nodeConnections: [['a', 3]] }),
  claim: { pool: 'p', clientId: 'd', node: 'a', proxy: 'one', who: -7, epoch: 12 },
  question: { id: '1', from: 'one', payload: { topic: 'load' } },
  answer: { id: '1', from: 'two' },
};

function codec() {
  const skipped: Skipped[] = [];
  return {
    ...createCodec({ cluster: 'c', now: () => 0, onSkipped: (each) => skipped.push(each) }),
    skipped,
  };
}

test('what is written is read again', () => {
  const { write, read, skipped } = codec();
  for (const [kind, sample] of Object.entries(samples) as [Kind, object][])
    expect(read(kind, write(kind, sample), here)).toEqual(sample);
  expect(skipped).toEqual([]);
});

test('fields that a newer version has added are passed over', () => {
  const { read } = codec();
  expect(read('decision', '{"v":1,"weight":3,"colour":"red"}', here)).toEqual({ weight: 3 });
});

test.each([
  ['{', 'json'],
  ['', 'json'],
  ['{}', 'version'],
  ['{"weight":3}', 'version'],
  ['{"v":0,"weight":3}', 'version'],
  ['{"v":2,"weight":3}', 'version'],
  ['{"v":"1","weight":3}', 'version'],
  ['null', 'version'],
  ['[1]', 'version'],
  ['{"v":1,"weight":-7}', 'schema'],
  ['{"v":1,"weight":1e300}', 'schema'],
  ['{"v":1,"weight":"7"}', 'schema'],
  ['{"v":1,"state":"gone"}', 'schema'],
  ['{"v":1,"removed":1}', 'schema'],
])('%s is skipped for its %s, and told once', (text, reason) => {
  const { read, skipped } = codec();
  expect(read('decision', text, here)).toBeUndefined();
  expect(skipped).toEqual([{ ...here, reason, detail: expect.any(String) }]);
});

test('what is told of a record does not quote it', () => {
  const { read, skipped } = codec();
  read('decision', '{"v":1,"state":"secret-1"}', here);
  read('decision', 'secret-2', here);
  read('decision', '{"v":"secret-3"}', here);
  expect(JSON.stringify(skipped)).not.toContain('secret');
});

test('an epoch is a number, as one or as digits', () => {
  const { read } = codec();
  const claim = { v: 1, pool: 'p', clientId: 'd', node: 'a', proxy: 'one', who: 7 };
  const epochOf = (epoch: unknown) => read('claim', JSON.stringify({ ...claim, epoch }), here)?.epoch;
  expect(epochOf('1700000000000000')).toBe(1_700_000_000_000_000);
  for (const epoch of [null, undefined, '', 'x', '-1', '1e9', '99999999999999999', 1.5, -1, 1e300])
    expect(epochOf(epoch)).toBeUndefined();
});

test('a name that is a word of the language is a name', () => {
  const { read, write } = codec();
  const counts = [['__proto__', 3] as const, ['constructor', 4] as const];
  const text = write('proxy', beat('one', { nodeConnections: counts }));
  expect(read('proxy', text, here)?.nodeConnections).toEqual(counts);
});

test('whatever stands there, nothing is thrown, and what is let through has its shape', () => {
  const { read, skipped } = codec();
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .constantFrom(...Object.values(samples))
      .chain((sample) =>
        fc
          .tuple(fc.constantFrom(...Object.keys(sample)), fc.jsonValue())
          .map(([field, value]) => JSON.stringify({ v: 1, ...sample, [field]: value })),
      ),
  );
  fc.assert(
    fc.property(fc.constantFrom(...kinds), text, (kind, written) => {
      const before = skipped.length;
      const value = read(kind, written, here);
      if (value === undefined) expect(skipped.length).toBe(before + 1);
      else expect(shapes[kind].safeParse(value).success).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
