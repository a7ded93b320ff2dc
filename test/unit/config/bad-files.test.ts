import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../../src/config/problems.ts';

/** What is said of a file that is wrong. */
function refusalOf(text: string, flags = {}): ConfigError {
  try {
    parseConfig(text, 'test.yaml', flags);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it is taken');
}

const many = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

describe('a file of half a megabyte that is none is refused in a time that grows with its length', () => {
  test.each([
    ['unknown keys', many(40_000, (i) => `key${i}: 1`)],
    ['unknown keys within', `limits:\n${many(40_000, (i) => `  key${i}: 1`)}`],
    ['listeners', `listeners:\n${many(20_000, (i) => `  - { url: 5, x${i}: 1 }`)}`],
    [
      'rules to pools that do not exist',
      `rules:\n${many(12_000, (i) => `  - { when: { username: a }, pool: p${i} }`)}`,
    ],
    ['pools', `pools:\n${many(25_000, (i) => `  p${i}: { strategy: z }`)}`],
    ['keys that come twice', many(60_000, (i) => `a: ${i}`)],
    ['syntax errors', many(50_000, (i) => `a${i}: ]`)],
    ['environment variables', `pools:\n${many(20_000, (i) => `  p${i}: { strategy: "\${NAME}" }`)}`],
    ['aliases', `a: &a [1]\n${many(50_000, (i) => `b${i}: *a`)}`],
    ['documents', '---\n'.repeat(120_000)],
    ['directives', '%a\n'.repeat(150_000)],
    ['an open quote', `cluster: "${'x\n'.repeat(250_000)}`],
    ['nested lists', `a: ${'['.repeat(250_000)}${']'.repeat(250_000)}`],
    ['nested mappings', '{'.repeat(500_000)],
    ['nested lists by indentation', '- '.repeat(250_000)],
    ['nested keys', '? '.repeat(250_000)],
    ['nested mappings by indentation', many(900, (i) => `${' '.repeat(i)}a:`)],
  ])('%s', (_, text) => {
    const { problems, message } = refusalOf(text);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(50);
    expect(message.length).toBeLessThan(20_000);
    expect(problems[0]?.line).toBeGreaterThan(0);
    expect(problems[0]?.column).toBeGreaterThan(0);
  });

  test('a thousand rules, pools and listeners, each of them wrong', () => {
    const rules = many(1000, (i) => `  - { when: { listener: "mqtt://1.1.1.1:${i}" }, pool: p${i} }`);
    const pools = many(
      1000,
      (i) => `  q${i}: { nodes: [{ url: "http://a:1" }, { url: 7 }, { url: "tcp://a:1" }] }`,
    );
    const listeners = many(1000, (i) => `  - { url: "mqtt://127.0.0.1:${i}", pool: r${i} }`);
    const { problems, more } = refusalOf(`rules:\n${rules}\npools:\n${pools}\nlisteners:\n${listeners}`);
    expect(problems).toHaveLength(50);
    expect(more).toBeGreaterThan(3000);
  });
});

it('lists fifty problems and says how many there are besides', () => {
  const { message, problems, more } = refusalOf(many(120, (i) => `key${i}: 1`));
  expect(message).toMatch(/^test\.yaml: 120 problems\n {2}line 1, column 1: key0: is not a known key\n/);
  expect(message).toMatch(/\n {2}… and 70 more$/);
  expect([problems.length, more]).toEqual([50, 70]);
});

it('names a few of a thousand pools', () => {
  const text = `pools:\n${many(1000, (i) => `  p${i}: {}`)}\nlisteners: [{ url: "mqtt://0.0.0.0", pool: nope }]`;
  const [problem] = refusalOf(text).problems;
  expect(problem?.message).toContain("pool 'nope' does not exist; use p0, p1,");
  expect(problem?.message).toContain('p19 or one of 980 more');
});

test.each([
  [
    'what is deeper than any configuration',
    'a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]',
    'nested deeper than',
  ],
  ['a second document', 'cluster: a\n---\ncluster: b', 'line 2, column 1: a second document begins here'],
  [
    'a key that comes twice, within',
    'log:\n  level: info\n  level: warn',
    'line 3, column 3: log.level: is given twice',
  ],
])('%s is refused where it stands', (_, text, message) => {
  expect(refusalOf(text).message).toContain(message);
});

test('of a value that is wrong in more than one way the first is said', () => {
  const { problems } = refusalOf(
    'listeners: [{ url: "mqtt://0.0.0.0", pool: "a b" }]\npools: { default: {} }',
  );
  expect(problems.map(({ path }) => path)).toEqual(['listeners[0].pool']);
});

/** A whole configuration in which single values are of any kind. */
function mutated(): fc.Arbitrary<object> {
  const odd = fc.oneof(
    fc.constantFrom(
      null,
      {},
      [],
      [[]],
      { a: {} },
      [{}],
      true,
      0,
      -1,
      1.5,
      '',
      'x',
      'mqtt://a',
      'http://[::]:80',
    ),
    fc.string(),
  );
  const or = (value: unknown) =>
    fc.oneof({ weight: 4, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: odd });
  const node = fc.record({ id: or('a'), url: or('mqtt://a:1'), weight: or(1), probeUrl: or('http://a') });
  const discovery = fc.record({
    dns: or('a'),
    port: or(1883),
    family: or(4),
    srv: or(true),
    scheme: or('mqtt'),
  });
  const pool = fc.record({
    strategy: or('client-id-hash'),
    nodes: fc.oneof(fc.array(node, { maxLength: 3 }), odd),
    discovery: fc.oneof(fc.array(discovery, { maxLength: 2 }), odd),
    health: or({ probe: 'mqtt' }),
    persistence: or({ by: 'cookie', mode: 'rewrite' }),
    upstream: or({ proxyProtocol: 'v2', transparent: true }),
  });
  const listener = fc.record({
    url: or('ws://0.0.0.0:1'),
    pool: or('default'),
    mode: or('relay'),
    tls: or(undefined),
  });
  const rule = fc.record({
    when: or({ listener: 'ws://0.0.0.0:1' }),
    pool: or('default'),
    reject: or(undefined),
  });
  return fc.record({
    cluster: or('a'),
    listeners: fc.oneof(fc.array(listener, { maxLength: 3 }), odd),
    pools: fc.oneof(fc.record({ default: fc.oneof(pool, odd), other: pool }), odd),
    rules: fc.oneof(fc.array(rule, { maxLength: 3 }), odd),
    admin: or({ url: 'http://0.0.0.0:1' }),
    limits: or({ allow: [{}] }),
  });
}

test('whatever is wrong is said once, in words, and with a place', () => {
  fc.assert(
    fc.property(mutated(), (document) => {
      try {
        parseConfig(JSON.stringify(document, null, 1), 'test.yaml');
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        const texts = error.problems.map(formatProblem);
        expect(new Set(texts).size).toBe(texts.length);
        for (const text of texts) {
          expect(text).not.toMatch(/\[object|undefined|NaN/);
          expect(text).toMatch(/^line \d+, column \d+: /);
        }
        const places = error.problems.map(({ path }) => path);
        expect(new Set(places).size).toBe(places.length);
      }
    }),
    { numRuns: 300 },
  );
});
