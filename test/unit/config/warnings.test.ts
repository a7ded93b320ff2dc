import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { formatPath } from '../../../src/config/problems.ts';
import { findWarnings } from '../../../src/config/warnings.ts';

function warningsOf(text: string): string[] {
  const found = findWarnings(parseConfig(text, 'test.yaml'));
  return found.map(({ path, message }) => `${formatPath(path)}: ${message}`);
}

test('a configuration that means what it says has none', () => {
  const text = `
    pools: { default: { nodes: [{ url: mqtt://10.0.0.1 }] }, meters: { discovery: [{ dns: meters }] } }
    rules: [{ when: { clientId: ^meter- }, pool: meters }]`;
  expect(warningsOf(text)).toEqual([]);
});

test('a pool that nothing uses', () => {
  expect(
    warningsOf('pools: { default: { nodes: [{ url: mqtt://a }] }, old: { nodes: [{ url: mqtt://b }] } }'),
  ).toEqual(['pools.old: no listener and no rule uses this pool']);
});

test('a pool without nodes; where brokers may register themselves it may be', () => {
  expect(warningsOf('')).toEqual([
    'pools.default: has no nodes and no discovery: its devices are refused until breakwater node add adds one',
  ]);
  expect(warningsOf('membership: { store: redis }')).toEqual([]);
});

test.each([
  ['0.0.0.0:1883', 'localhost:1883'],
  ['0.0.0.0:1883', '127.0.0.1'],
  ['"[::]:1883"', '"[::1]:1883"'],
  ['10.0.0.7:1883', '10.0.0.7'],
])('a node at %s that is the listener itself, %s', (listener, node) => {
  const url = (address: string) => `"mqtt://${address.replaceAll('"', '')}"`;
  const text = `
    listeners: [{ url: ${url(listener)} }]
    pools: { default: { nodes: [{ url: ${url(node)} }] } }`;
  expect(warningsOf(text)[0]).toMatch(
    /^pools\.default\.nodes\[0\]\.url: \S+ is the listener \S+: devices would go round in a circle$/,
  );
});

test('a node that another one is too, but not in another pool, nor at another port', () => {
  const nodes = (...urls: string[]) => urls.map((url, id) => `{ id: n${id}, url: "mqtt://${url}" }`).join();
  expect(warningsOf(`pools: { default: { nodes: [${nodes('a:1', 'a:2', 'a:1')}] } }`)).toEqual([
    'pools.default.nodes[2].url: a:1 is node n0 too: that broker gets the share of both',
  ]);
});
