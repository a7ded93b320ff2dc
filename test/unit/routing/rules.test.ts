import { expect, test } from 'vitest';
import { type ConnectRule, compileRules, type RuleInput } from '../../../src/routing/rules.ts';

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
