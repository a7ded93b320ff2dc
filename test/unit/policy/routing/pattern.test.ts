import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { compilePattern, MAX_PATTERN_SIZE, patternProblem } from '../../../../src/policy/routing/pattern.ts';

test.each([
  ['^meter-', 'meter-7', true],
  ['^meter-', 'my-meter-7', false],
  ['meter', 'my-meter-7', true],
  ['-7$', 'meter-7', true],
  ['-7$', 'meter-70', false],
  ['^meter-7$', 'meter-7', true],
  ['^meter-7$', 'meter-7\n', false],
  ['^meter-.*', 'meter-7', true],
  [String.raw`^a\.b\$$`, 'a.b$', true],
  [String.raw`^a\.b`, 'axb', false],
  ['^ab?c', 'ac', true], // the prefix is `a`, not `ab`
  ['^ab*', 'a', true],
  ['^ab{0}', 'ac', true],
  ['^abc|x', 'x', true],
  ['(?i)^METER', 'meter', true],
  ['^(?i)METER', 'meter', true],
  ['^é?x', 'x', true],
  [String.raw`^\d+$`, '42', true],
  [String.raw`^\Qa.b\E`, 'a.b', true],
  ['', '', true],
])('%j matches %j: %s', (source, text, matches) => {
  expect(compilePattern(source).test(text)).toBe(matches);
});

test('short cuts for literal text answer as the whole engine does', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    '-',
    'ab',
    '.',
    '.*',
    '?',
    '*',
    '\\.',
    '\\-',
    '(a)',
    '|',
    '[ab]',
    '{2}',
    '$',
    '\\b',
    '\\d',
    '\\Qa',
    'é',
  );
  const source = fc
    .tuple(fc.boolean(), fc.array(piece, { maxLength: 5 }))
    .map(([start, rest]) => (start ? '^' : '') + rest.join(''));
  const text = fc
    .array(fc.constantFrom('a', 'b', '-', '.', 'é', '\n', '1'), { maxLength: 6 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(source, fc.array(text, { minLength: 5, maxLength: 20 }), (pattern, texts) => {
      fc.pre(patternProblem(pattern) === undefined);
      const ours = compilePattern(pattern);
      const engine = RE2JS.compile(pattern);
      for (const each of texts)
        expect([pattern, each, ours.test(each)]).toEqual([pattern, each, engine.test(each)]);
    }),
    { numRuns: 2000 },
  );
});

describe('capture', () => {
  test('gives the groups of the first match', () => {
    expect(compilePattern('^site-([0-9]+)-(x)?').capture('site-42-a')).toEqual(['42', undefined]);
  });
  test('gives nothing where nothing matches', () => {
    expect(compilePattern('^site-([0-9]+)-').capture('meter')).toEqual([undefined]);
    expect(compilePattern('^site').capture('site-1')).toEqual([]);
  });
});

test.each([
  ['a(?=b)', 'look-around'],
  ['(?<!a)b', 'look-around'],
  [String.raw`(a)\1`, 'backreferences'],
  ['a++', 'possessive'],
  [String.raw`\u0041`, String.raw`\x{…}`],
  ['[a', 'missing closing ]'],
  ['(', 'missing closing )'],
  ['a{1001}', 'repeat count'],
  ['((a{10}){10}){10}', 'is too large: it compiles to'],
])('%s is refused and the problem named', (source, problem) => {
  expect(patternProblem(source)).toContain(problem);
  expect(() => compilePattern(source)).toThrow(problem);
});

test('patterns that double the time with each character elsewhere end at once', () => {
  const text = `${'a'.repeat(65_534)}!`; // the longest client id
  for (const source of ['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '^([a-z]+,?)*$', '(.*a){20}b']) {
    expect(compilePattern(source).test(text)).toBe(false);
  }
});

test('the bound leaves room for real patterns', () => {
  const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
  expect(RE2JS.compile(uuid).programSize()).toBeLessThan(MAX_PATTERN_SIZE / 2);
  expect(patternProblem(uuid)).toBeUndefined();
});
