import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createNodeMarks, deriveMarkKey } from '../../../../src/policy/cookie-affinity/node-mark.ts';

const key = deriveMarkKey('a secret', 'default', 'web');
const marks = createNodeMarks(key);

test('a mark opens to the id that it was made of, at every proxy with the key', () => {
  const other = createNodeMarks(deriveMarkKey('a secret', 'default', 'web'));
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9._:@-]{1,64}$/), (id) => {
      expect(other.open(marks.seal(id))).toBe(id);
      expect(marks.seal(id)).toBe(other.seal(id));
    }),
  );
});

test('a mark may stand in a cookie, and does not show the id', () => {
  const mark = marks.seal('node-1');
  expect(mark).toMatch(/^[A-Za-z0-9_-]+$/);
  expect(Buffer.from(mark, 'base64url').toString('latin1')).not.toContain('node');
  expect(marks.seal('n'.repeat(64)).length).toBe(107);
});

test('a mark with any one bit changed is none', () => {
  const bytes = Buffer.from(marks.seal('node-1'), 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(marks.open(changed.toString('base64url'))).toBeUndefined();
  }
});

test('whatever else a cookie holds is none', () => {
  expect(marks.open('')).toBeUndefined();
  expect(marks.open('node-1')).toBeUndefined();
  expect(marks.open('A'.repeat(10_000))).toBeUndefined();
  const mark = marks.seal('node-1'); // its last character has bits to spare
  const spare = `${mark.slice(0, -1)}${String.fromCharCode(mark.charCodeAt(mark.length - 1) + 1)}`;
  for (const text of [`${mark}=`, ` ${mark}`, spare]) expect(marks.open(text)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => marks.open(text) === undefined));
});

test.each([
  ['secret', deriveMarkKey('another', 'default', 'web')],
  ['cluster', deriveMarkKey('a secret', 'other', 'web')],
  ['pool', deriveMarkKey('a secret', 'default', 'other')],
])('a mark of another %s is none', (_what, other) => {
  expect(createNodeMarks(other).open(marks.seal('node-1'))).toBeUndefined();
});
