import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SigningConfig } from '../../../../src/config/config.ts';
import { createCodec } from '../../../../src/membership/store/codec.ts';
import { createSealing } from '../../../../src/membership/store/sealing.ts';
import type { Skipped } from '../../../../src/membership/store/store.ts';
import { node } from '../../../contract/store.ts';

const signing: SigningConfig = { secret: 'a secret of a cluster', acceptsUnsigned: false };

function codec(options: Partial<SigningConfig> = {}, cluster = 'c') {
  const clock = { ms: 1_000_000 };
  const skipped: Skipped[] = [];
  const { read, write, isOutdated } = createCodec({
    ...{ cluster, signing: { ...signing, ...options }, now: () => clock.ms },
    onSkipped: (each) => skipped.push(each),
  });
  return { read, write, isOutdated, clock, reasons: () => skipped.map(({ reason }) => reason) };
}

const unsigned = createCodec({ cluster: 'c', now: () => 0, onSkipped: () => {} });
const at = (field: string, key = 'nodes') => ({ key, field });

test('what is signed is read by who has the secret', () => {
  const [one, two] = [codec(), codec()];
  expect(two.read('node', one.write('node', node('a'), 'a'), at('a'))).toEqual(node('a'));
  expect(two.reasons()).toEqual([]);
});

test.each([
  ['is not signed', () => unsigned.write('node', node('a')), 'unsigned'],
  [
    'is signed with another secret',
    () => codec({ secret: 'another secret' }).write('node', node('a'), 'a'),
    'forged',
  ],
  ['is of another cluster', () => codec({}, 'other').write('node', node('a'), 'a'), 'forged'],
  ['was signed for another name', () => codec().write('node', node('a'), 'b'), 'forged'],
  ['was signed as something else', () => codec().write('decision', node('a'), 'a'), 'forged'],
  ['is no text of ours', () => 'nonsense', 'unsigned'],
])('what %s is passed over', (_, write, reason) => {
  const { read, reasons } = codec();
  expect(read('node', write(), at('a'))).toBeUndefined();
  expect(reasons()).toEqual([reason]);
});

test('whatever is changed in it, it is passed over', () => {
  const { read, write } = codec();
  const text = write('node', node('a'), 'a');
  const change = fc.tuple(fc.nat({ max: text.length - 1 }), fc.string({ minLength: 1, maxLength: 1 }));
  fc.assert(
    fc.property(change, ([place, character]) => {
      const changed = text.slice(0, place) + character + text.slice(place + 1);
      // The last character of a MAC has bits to spare.
      if (changed !== text && place !== 42) expect(read('node', changed, at('a'))).toBeUndefined();
    }),
  );
});

test('who has no secret passes over what is signed, and says why', () => {
  const skipped: Skipped[] = [];
  const without = createCodec({ cluster: 'c', now: () => 0, onSkipped: (each) => skipped.push(each) });
  expect(without.read('node', codec().write('node', node('a'), 'a'), at('a'))).toBeUndefined();
  expect(skipped).toMatchObject([
    { reason: 'unreadable', detail: expect.stringContaining('membership.secret') },
  ]);
});

test('a message is believed for a minute, by either clock, and a question once', () => {
  const [one, two] = [codec(), codec()];
  const answer = one.write('answer', { id: '1', from: 'one' });
  const question = one.write('question', { id: '1', from: 'one' });
  const asked = () => two.read('question', question, at('', 'questions')) !== undefined;
  const answered = () => two.read('answer', answer, at('', 'answers')) !== undefined;
  expect([asked(), asked(), answered(), answered()]).toEqual([true, false, true, true]);
  two.clock.ms += 60_000;
  expect(answered()).toBe(true);
  two.clock.ms += 1;
  expect(answered()).toBe(false);
  two.clock.ms -= 120_002;
  expect(answered()).toBe(false);
  expect(two.reasons()).toEqual(['replayed', 'replayed', 'replayed']);
});

test('a record that is older than one seen before is passed over; what is written later counts, by whatever clock', () => {
  const [one, two] = [codec(), codec()];
  const before = one.write('decision', { state: 'draining' }, 'a');
  expect(two.read('decision', before, at('a'))).toEqual({ state: 'draining' });
  two.clock.ms -= 50_000; // it writes in the past
  const after = two.write('decision', { state: 'enabled' }, 'a');
  expect(one.read('decision', after, at('a'))).toEqual({ state: 'enabled' });
  expect(one.read('decision', before, at('a'))).toBeUndefined();
  expect(one.read('decision', after, at('a'))).toEqual({ state: 'enabled' });
  expect(one.reasons()).toEqual(['replayed']);
});

test('what is remembered of a session is believed once, and by whoever has seen a newer one not at all', () => {
  const [one, two] = [codec(), codec()];
  const session = (topics: string) => ({ who: 7, subscriptions: Buffer.from(topics).toString('base64') });
  const before = one.write('session', session('a'), 'd');
  expect(two.read('session', before, at('d', 'session'))).toEqual(session('a'));
  expect(two.read('session', before, at('d', 'session'))).toBeUndefined();
  const after = two.write('session', session('b'), 'd');
  expect(one.read('session', after, at('d', 'session'))).toEqual(session('b'));
  expect(one.read('session', before, at('d', 'session'))).toBeUndefined();
  expect(one.read('session', after, at('other', 'session'))).toBeUndefined();
  expect([two.reasons(), one.reasons()]).toEqual([['replayed'], ['replayed', 'forged']]);
});

test('a heartbeat is believed as long as a lease can last', () => {
  const [one, two] = [codec(), codec()];
  const said = { ...{ id: 'one', version: '1', host: 'h', pid: 1, engine: 'node', threads: 1 } };
  const rest = { listeners: [], connections: 0, nodeConnections: [], startedAt: '2026-01-01T00:00:00Z' };
  const beat = one.write('proxy', { ...said, ...rest }, 'one');
  two.clock.ms += 299_000;
  expect(two.read('proxy', beat, at('one', 'proxies'))).toBeDefined();
  two.clock.ms += 2_000;
  expect(two.read('proxy', beat, at('one', 'proxies'))).toBeUndefined();
});

test('while a secret is changed, and while a cluster begins to sign, both are believed, and written anew', () => {
  const old = codec({ secret: 'the former secret' }).write('node', node('a'), 'a');
  const changing = codec({ formerSecret: 'the former secret' });
  expect(changing.read('node', old, at('a'))).toEqual(node('a'));
  expect(changing.isOutdated('node', old, 'a')).toBe(true);
  expect(changing.isOutdated('node', changing.write('node', node('a'), 'a'), 'a')).toBe(false);
  const beginning = codec({ acceptsUnsigned: true });
  const plain = unsigned.write('node', node('a'));
  expect(beginning.read('node', plain, at('a'))).toEqual(node('a'));
  expect(beginning.isOutdated('node', plain, 'a')).toBe(true);
});

test('what is sealed is opened under its own name, with its secret or the former one', () => {
  const sealing = createSealing(signing, 'c');
  const sealed = sealing.seal('keys', 'hello');
  expect(sealed).not.toContain(Buffer.from('hello').toString('base64').slice(0, 6));
  expect(sealing.open('keys', sealed)).toBe('hello');
  expect(sealing.open('other', sealed)).toBeUndefined();
  expect(createSealing(signing, 'other').open('keys', sealed)).toBeUndefined();
  const next = createSealing({ ...signing, secret: 'the next secret', formerSecret: signing.secret }, 'c');
  expect(next.open('keys', sealed)).toBe('hello');
  const bytes = Buffer.from(sealed, 'base64');
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (place, bits) => {
      const changed = Buffer.from(bytes);
      changed[place] = (changed[place] as number) ^ bits;
      expect(sealing.open('keys', changed.toString('base64'))).toBeUndefined();
    }),
  );
  for (const text of ['', 'x', 'AAAA']) expect(sealing.open('keys', text)).toBeUndefined();
});
