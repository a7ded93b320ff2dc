import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyProblem } from '../../../../src/policy/routing/key.ts';
import {
  type ConnectRule,
  compileRules,
  explain,
  type RuleInput,
} from '../../../../src/policy/routing/rules.ts';

const device: RuleInput = { clientId: 'meter-7', username: 'ann', sourceAddress: '10.1.2.3' };
const decide = (rules: ConnectRule[], input: Partial<RuleInput> = {}) =>
  compileRules(rules)({ ...device, ...input });

test('no rule decides nothing', () => {
  expect(decide([])).toBeUndefined();
});

test('the first rule that matches decides', () => {
  const rules: ConnectRule[] = [
    { when: { clientId: '^gate-' }, pool: 'gates' },
    { when: { clientId: '^meter-' }, pool: 'meters' },
    { when: {}, reject: 'banned' },
  ];
  expect(decide(rules)).toEqual({ pool: 'meters' });
  expect(decide(rules, { clientId: 'phone' })).toEqual({ reject: 'banned' });
});

test('all conditions of a rule must hold', () => {
  const rule: ConnectRule = {
    when: { clientId: '^meter-', username: '^ann$', source: '10.1.0.0/16' },
    pool: 'x',
  };
  expect(decide([rule])).toEqual({ pool: 'x' });
  for (const other of [{ clientId: 'phone' }, { username: 'annie' }, { sourceAddress: '10.2.0.1' }]) {
    expect(decide([rule], other)).toBeUndefined();
  }
});

test('a condition on the user name never matches a device without one', () => {
  expect(decide([{ when: { username: '' }, reject: 'banned' }], { username: undefined })).toBeUndefined();
});

test.each([
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.3', '10.1.2.4', false],
  ['10.1.0.0/16', '10.1.255.255', true],
  ['0.0.0.0/0', '192.0.2.1', true],
  ['2001:db8::/32', '2001:db8:1::5', true],
  ['2001:db8::/32', '2001:db9::5', false],
  ['2001:db8::/32', '10.1.2.3', false],
  ['10.0.0.0/8', '2001:db8::1', false],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['0.0.0.0/0', '', false], // the device was gone before its address could be read
])('source %s and the device %s', (source, sourceAddress, matches) => {
  expect(decide([{ when: { source }, pool: 'x' }], { sourceAddress })).toEqual(
    matches ? { pool: 'x' } : undefined,
  );
});

describe('conditions', () => {
  test.each<[string, ConnectRule['when'], Partial<RuleInput>, boolean]>([
    ['one listener of several', { listener: ['mqtt://a:1', 'mqtt://b:1'] }, { listener: 'mqtt://b:1' }, true],
    ['another listener', { listener: 'mqtt://a:1' }, { listener: 'mqtt://b:1' }, false],
    ['one network of several', { source: ['10.9.0.0/16', '10.1.0.0/16'] }, {}, true],
    ['protocol version', { protocolVersion: [3, 4] }, { protocolVersion: 4 }, true],
    ['another protocol version', { protocolVersion: 5 }, { protocolVersion: 4 }, false],
    ['no clean start', { cleanStart: false }, { cleanStart: false }, true],
    ['clean start', { cleanStart: false }, { cleanStart: true }, false],
    ['no CONNECT', { cleanStart: false }, {}, false],
    ['server name', { sni: '\\.example\\.com$' }, { sni: 'a.example.com' }, true],
    ['no server name', { sni: '' }, {}, false],
    ['certificate', { clientCn: '^meter-' }, { clientCn: 'meter-9' }, true],
    ['host', { host: '^a$' }, { host: 'b' }, false],
    ['path', { path: '^/mqtt$' }, { path: '/mqtt' }, true],
    ['no client id', { clientId: '' }, { clientId: undefined }, false],
  ])('%s', (_what, when, input, matches) => {
    expect(decide([{ when, pool: 'x' }], input)).toEqual(matches ? { pool: 'x' } : undefined);
  });
});

describe('the key', () => {
  const key = (template: string, when: ConnectRule['when'], input: Partial<RuleInput> = {}) => {
    const decision = decide([{ when, key: template }], input);
    return decision !== undefined && 'key' in decision ? decision.key : undefined;
  };
  const site = { clientId: '^site-([0-9]+)-' };

  test('of a capture group keeps a site together', () => {
    expect(key('$1', site, { clientId: 'site-42-meter-1' })).toBe('42');
    expect(key('$1', site, { clientId: 'site-42-meter-2' })).toBe('42');
  });

  test('counts groups through all patterns, client id first', () => {
    const when = { username: '(n+)$', clientId: '^(me).*(7)$' };
    expect(key('$3/$1/$2/$$1', when)).toBe('nn/me/7/$1');
  });

  test('is absent when its groups took no part, so that such devices do not heap up', () => {
    expect(key('site $1', { clientId: '^meter-(x)?' })).toBeUndefined();
    expect(key('all', { clientId: '^meter' })).toBe('all');
  });

  test.each([
    ['$1', 0, 'no capture group'],
    ['$2', 1, '1 capture group'],
    ['$0', 1, 'is no reference'],
    ['a$', 1, 'is no reference'],
    ['$x', 1, 'is no reference'],
  ])('%s with %i groups is a problem: %s', (template, groups, problem) => {
    expect(keyProblem(template, groups)).toContain(problem);
  });

  test.each([
    ['$1', 1],
    ['$9', 9],
    ['$$2', 1],
    ['fixed', 0],
  ])('%s with %i groups is none', (template, groups) => {
    expect(keyProblem(template, groups)).toBeUndefined();
  });
});

test('pool, key and mode come together; what is not said stays undefined', () => {
  const rule: ConnectRule = { when: { clientId: '(7)$' }, pool: 'x', key: '$1', mode: 'relay' };
  expect(decide([rule])).toEqual({ pool: 'x', key: '7', mode: 'relay' });
  expect(decide([{ when: {}, mode: 'session' }])).toEqual({ mode: 'session' });
});

test('explain says of every rule why it did or did not match, and which one decides', () => {
  const rules: ConnectRule[] = [
    { when: { clientId: '^meter-', source: '192.0.2.0/24' }, pool: 'a' },
    { when: { clientId: '^meter-' }, pool: 'b' },
    { when: { sni: 'x' }, reject: 'banned' },
    { when: { source: '10.0.0.0/8' }, pool: 'c' },
  ];
  const { verdicts, decision } = explain(rules, device);
  expect(decision).toEqual({ pool: 'b' });
  expect(verdicts.map(({ matches, decides }) => [matches, decides])).toEqual([
    [false, false],
    [true, true],
    [false, false],
    [true, false],
  ]);
  expect(verdicts[0]?.conditions).toEqual([
    { name: 'source', expected: '192.0.2.0/24', actual: '10.1.2.3', holds: false },
    { name: 'clientId', expected: '^meter-', actual: 'meter-7', holds: true },
  ]);
  expect(verdicts[2]?.conditions).toEqual([{ name: 'sni', expected: 'x', actual: undefined, holds: false }]);
});

test('explain decides as the rules do', () => {
  const word = fc.constantFrom('a', 'b', 'ab', '');
  const when = fc.record(
    {
      clientId: word,
      username: word,
      cleanStart: fc.boolean(),
      source: fc.constantFrom('10.0.0.0/8', '::/0'),
    },
    { requiredKeys: [] },
  );
  const rules = fc.array(fc.record({ when, pool: word }), { maxLength: 5 });
  const input = fc.record({
    ...{ clientId: word, username: fc.option(word, { nil: undefined }), cleanStart: fc.boolean() },
    sourceAddress: fc.constantFrom('10.1.1.1', '::1', ''),
  });
  fc.assert(
    fc.property(rules, input, (some, one) => {
      const { verdicts, decision } = explain(some, one);
      expect(decision).toEqual(compileRules(some)(one));
      expect(verdicts.findIndex(({ matches }) => matches)).toBe(verdicts.findIndex(({ decides }) => decides));
    }),
  );
});

test('a rule may carry limits; what it decides without a key is one value, so that it costs nothing to keep', () => {
  const rule: ConnectRule = { when: {}, limits: { messageRate: 5 } };
  const compiled = compileRules([rule]);
  expect(compiled(device)).toEqual({ limits: { messageRate: 5 } });
  expect(compiled(device)).toBe(compiled({ ...device, clientId: 'phone' }));
});
