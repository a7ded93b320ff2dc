import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Ban, type BanKind, Bans, banChange, banId } from '../../../../src/policy/admission/bans.ts';
import { compileNetworks } from '../../../../src/protocol/address/networks.ts';

function ban(kind: BanKind, value: string, more: Partial<Ban> = {}): Ban {
  return { id: banId(kind, value), kind, value, createdAt: '2026-01-01T00:00:00Z', kick: false, ...more };
}
const never = Date.parse('2026-01-01T00:00:00Z');

test('nobody is banned by no bans', () => {
  const subject = { clientId: 'a', username: 'b', clientCn: 'c', sourceAddress: '10.0.0.1' };
  expect(new Bans([]).find(subject, never)).toBeUndefined();
});

test.each(['clientId', 'username', 'clientCn'] as const)('%s must be the same to the letter', (kind) => {
  const bans = new Bans([ban(kind, 'meter-1')]);
  expect(bans.find({ [kind]: 'meter-1' }, never)).toMatchObject({ kind });
  for (const other of ['meter-10', 'Meter-1', '', undefined])
    expect(bans.find({ [kind]: other }, never)).toBeUndefined();
  const others = ['clientId', 'username', 'clientCn'].filter((each) => each !== kind);
  for (const other of others) expect(bans.find({ [other]: 'meter-1' }, never)).toBeUndefined();
});

test.each(['constructor', '__proto__'])('%s is a name like any other', (name) => {
  expect(new Bans([]).find({ clientId: name }, never)).toBeUndefined();
  expect(new Bans([ban('clientId', name)]).find({ clientId: name }, never)).toBeDefined();
});

test('a certificate is read only where a ban asks for one', () => {
  const subject = {
    clientId: 'a',
    get clientCn(): string {
      throw new Error('it was read');
    },
  };
  expect(new Bans([ban('clientId', 'b')]).find(subject, never)).toBeUndefined();
});

test.each([
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.3', '10.1.2.4', false],
  ['10.1.99.99/16', '10.1.0.1', true],
  ['10.1.0.0/16', '::ffff:10.1.2.3', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['0.0.0.0/0', '192.0.2.1', true],
  ['2001:db8::/33', '2001:db8:7fff::1', true],
  ['2001:db8::/33', '2001:db8:8000::1', false],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['0.0.0.0/0', '', false],
])('the source %s and the device %s', (source, sourceAddress, is) => {
  expect(new Bans([ban('source', source)]).find({ sourceAddress }, never) !== undefined).toBe(is);
});

test('sources hold whom compiled networks hold', () => {
  const ip = fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '2001:db8:ffff::', '::1', 'fe80::a:b'));
  const network = fc
    .tuple(ip, fc.nat(128))
    .map(([address, bits]) => `${address}/${address.includes(':') ? bits : bits % 33}`);
  fc.assert(
    fc.property(fc.array(network, { maxLength: 8 }), ip, (networks, sourceAddress) => {
      const bans = new Bans(networks.map((each) => ban('source', each)));
      const found = bans.find({ sourceAddress }, never);
      expect(found !== undefined).toBe(compileNetworks(networks).has(sourceAddress));
    }),
  );
});

test('a ban ends by itself, and one beside it holds on', () => {
  const expiresAt = '2026-01-01T00:00:01Z';
  const bans = new Bans([ban('clientId', 'a', { expiresAt }), ban('source', '10.0.0.0/8')]);
  const at = Date.parse(expiresAt);
  expect(bans.find({ clientId: 'a' }, at - 1)).toMatchObject({ kind: 'clientId' });
  expect(bans.find({ clientId: 'a' }, at)).toBeUndefined();
  expect(bans.find({ clientId: 'a', sourceAddress: '10.0.0.1' }, at)).toMatchObject({ kind: 'source' });
});

test('bans come and go one at a time', () => {
  const bans = new Bans([]);
  const made = [ban('source', '10.0.0.0/8'), ban('source', '11.0.0.0/8')];
  bans.change({ made, ended: [] });
  bans.change({ made: [ban('source', '10.9.9.9/8', { reason: 'again' })], ended: [] });
  expect(bans.size).toBe(2);
  expect(bans.find({ sourceAddress: '10.0.0.1' }, never)).toMatchObject({ reason: 'again' });
  bans.change({ made: [], ended: [banId('source', '10.0.0.0/8'), 'unknown'] });
  expect(bans.find({ sourceAddress: '10.0.0.1' }, never)).toBeUndefined();
  expect(bans.find({ sourceAddress: '11.0.0.1' }, never)).toBeDefined();
  bans.change({ made: [], ended: [banId('source', '11.0.0.0/8')] });
  expect(bans.find({ sourceAddress: '11.0.0.1' }, never)).toBeUndefined();
  expect(bans.size).toBe(0);
});

test('the same criterion has the same id, safe in a URL; another has another', () => {
  expect(banId('source', '10.1.2.3/8')).toBe(banId('source', '10.0.0.0/8'));
  expect(banId('source', '10.0.0.1')).toBe(banId('source', '::ffff:10.0.0.1'));
  expect(banId('clientId', 'a/b ü')).toMatch(/^[0-9a-f]{12}$/);
  expect(banId('clientId', 'a')).not.toBe(banId('username', 'a'));
  expect(() => banId('source', '10.0.0.0/33')).toThrow('10.0.0.0/33');
});

test('of new bans those are named that end connections too', () => {
  const made = [ban('clientId', 'a', { kick: true }), ban('clientId', 'b')];
  const kicking = new Bans([ban('clientId', 'c', { kick: true })]).change({ made, ended: [] });
  expect(['a', 'b', 'c'].map((clientId) => kicking.find({ clientId }, never)?.value)).toEqual([
    'a',
    undefined,
    undefined,
  ]);
});

test('a ban that ends connections is found behind one that does not', () => {
  const bans = new Bans([ban('clientId', 'a'), ban('source', '10.0.0.0/8', { kick: true })]);
  expect(bans.findKick({ clientId: 'a' }, never)).toBeUndefined();
  expect(bans.findKick({ clientId: 'a', sourceAddress: '10.0.0.1' }, never)).toMatchObject({
    kind: 'source',
  });
});

test('what has changed is told, and nothing where nothing has', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((each) => ban('clientId', each)) as [Ban, Ban, Ban];
  const mapOf = (...bans: Ban[]) => new Map(bans.map((each) => [each.id, each]));
  expect(banChange(mapOf(a, b), mapOf(a, b))).toBeUndefined();
  const again = { ...b, reason: 'again' };
  expect(banChange(mapOf(a, b), mapOf(again, c))).toEqual({ made: [again, c], ended: [a.id] });
});
