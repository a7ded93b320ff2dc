import { BlockList } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileNetworks, networkText, parseNetwork } from '../../../../src/protocol/address/networks.ts';

const has = (networks: string[], address: string) => compileNetworks(networks).has(address);

test.each([
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.3', '10.1.2.4', false],
  ['10.1.0.0/16', '10.1.255.255', true],
  ['10.1.99.99/16', '10.1.0.1', true], // host bits are ignored
  ['0.0.0.0/0', '192.0.2.1', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::/0', '10.0.0.1', false],
  ['::/0', '::ffff:10.0.0.1', false],
  ['::ffff:10.0.0.0/104', '10.9.9.9', true],
  ['10.0.0.0/8', '::ffff:10.9.9.9', true],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['0.0.0.0/0', '', false], // the device was gone before its address could be read
])('%s and the device %s', (network, address, is) => {
  expect(has([network], address)).toBe(is);
});

test.each([
  ['10.1.99.99/16', '10.1.0.0/16'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8:0:0:ffff::1/65', '2001:db8:0:0:8000::/65'],
  ['2001:db8::1', '2001:db8::1/128'],
  ['ffff:ffff::/17', 'ffff:8000::/17'],
])('the one text of %s is %s', (network, text) => {
  expect(networkText(parseNetwork(network))).toBe(text);
});

test('no network holds nobody', () => {
  expect(has([], '10.0.0.1')).toBe(false);
});

test.each([
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  'fe80::/129',
  'example.com',
  '10.0.0/8',
  '::ffff:10.0.0.0/8',
])('%s is refused by name', (network) => {
  expect(() => compileNetworks([network])).toThrow(network);
});

/** Few bits vary, so that networks meet, nest and touch. */
const ipv4 = fc.tuple(fc.nat(3), fc.nat(255)).map(([a, b]) => `10.0.${a}.${b}`);
const ipv6 = fc.tuple(fc.nat(3), fc.nat(65_535)).map(([a, b]) => `2001:db8:0:${a}::${b.toString(16)}`);

test('a set holds what node:net BlockList holds', () => {
  const v4 = fc.tuple(ipv4, fc.integer({ min: 20, max: 32 }));
  const v6 = fc.tuple(ipv6, fc.integer({ min: 60, max: 128 }));
  fc.assert(
    fc.property(fc.array(v4), fc.array(v6), fc.array(ipv4), fc.array(ipv6), (nets4, nets6, some4, some6) => {
      const model = new BlockList();
      for (const [address, prefix] of nets4) model.addSubnet(address, prefix, 'ipv4');
      for (const [address, prefix] of nets6) model.addSubnet(address, prefix, 'ipv6');
      const set = compileNetworks([...nets4, ...nets6].map((network) => network.join('/')));
      for (const address of some4) expect(set.has(address)).toBe(model.check(address, 'ipv4'));
      for (const address of some6) expect(set.has(address)).toBe(model.check(address, 'ipv6'));
    }),
  );
});
