import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCutId, isIdOf, shownId } from '../../../src/data-plane/shown-id.ts';

test('an id of up to 256 characters is shown as it is', () => {
  for (const id of ['', 'meter-1', 'x'.repeat(256), '\u0001\u202e']) {
    expect(shownId(id)).toBe(id);
    expect(isIdOf(id, id)).toBe(true);
  }
});

test('a longer one is cut, and is found by both forms', () => {
  const id = 'x'.repeat(65_535);
  const shown = shownId(id);
  expect(shown).toMatch(/^x{200}…[0-9a-f]{32}$/);
  expect([isCutId(shown), isCutId(id), isIdOf(shown, id), isIdOf(id, id)]).toEqual([true, false, true, true]);
});

test('no character is cut in halves', () => {
  expect(shownId(`${'x'.repeat(199)}😀${'y'.repeat(100)}`)).toMatch(/^x{199}…[0-9a-f]{32}$/);
});

test('ids that begin alike are told apart', () => {
  const [one, two] = [`${'x'.repeat(300)}1`, `${'x'.repeat(300)}2`];
  expect(isIdOf(shownId(one), two)).toBe(false);
});

test('a device whose id looks like a cut one is found by it', () => {
  const id = `${'x'.repeat(200)}…${'0'.repeat(32)}`;
  expect([shownId(id), isCutId(id), isIdOf(id, id)]).toEqual([id, true, true]);
});

test('every id is found by the form in which it is shown', () => {
  const id = fc.oneof(fc.string({ maxLength: 600, unit: 'binary' }), fc.string({ maxLength: 600 }));
  fc.assert(
    fc.property(id, (each) => {
      const shown = shownId(each);
      expect(shown.length).toBeLessThanOrEqual(256);
      expect(isIdOf(shown, each)).toBe(true);
      if (shown !== each) expect(isCutId(shown)).toBe(true);
    }),
  );
});
