import { expect, test } from 'vitest';
import { difference, isEmpty, listenerKeys } from '../../../src/config/difference.ts';
import { parseConfig } from '../../../src/config/load.ts';

const before = {
  proxy: { id: 'edge-1', engine: 'node' },
  listeners: [{ url: 'mqtt://0.0.0.0:1883' }, { url: 'mqtt://[::1]:1884', mode: 'relay' }],
  pools: { default: { nodes: [{ url: 'mqtt://10.0.0.1:1883' }] }, meters: { strategy: 'round-robin' } },
  rules: [{ when: { clientId: '^meter-' }, pool: 'meters' }],
};
const config = (changes: object = {}) => parseConfig(JSON.stringify({ ...before, ...changes }), 'test');
const nothing = { added: [], removed: [], changed: [] };
const same = { listeners: nothing, pools: nothing, settings: [], needRestart: [] };

test('a file that says the same in other words makes no difference', () => {
  const explicit = { ...before, limits: { maxConnections: 100_000 }, log: { level: 'info' } };
  expect(difference(config(), config(explicit))).toEqual(same);
  expect(isEmpty(difference(config(), config()))).toBe(true);
});

test('listeners are known by their URLs, pools by their names; each is new, gone, or changed', () => {
  const listeners = [{ url: 'mqtt://0.0.0.0:1883', mode: 'relay' }, { url: 'mqtt://127.0.0.1:2883' }];
  const pools = {
    default: { nodes: [{ url: 'mqtt://10.0.0.2:1883' }] },
    meters: before.pools.meters,
    more: {},
  };
  const found = difference(config(), config({ listeners, pools }));
  expect(found).toEqual({
    ...same,
    listeners: {
      added: ['mqtt://127.0.0.1:2883'],
      removed: ['mqtt://[::1]:1884'],
      changed: ['mqtt://0.0.0.0:1883'],
    },
    pools: { added: ['more'], removed: [], changed: ['default'] },
  });
  expect(isEmpty(found)).toBe(false);
});

test('another order of listeners and pools is no difference', () => {
  const pools = Object.fromEntries(Object.entries(before.pools).reverse());
  expect(difference(config(), config({ pools, listeners: before.listeners.toReversed() }))).toEqual(same);
});

test('another order of rules is one: the first that matches decides', () => {
  const rule = (clientId: string) => ({ when: { clientId }, pool: 'meters' });
  const [one, other] = [config({ rules: [rule('a'), rule('b')] }), config({ rules: [rule('b'), rule('a')] })];
  expect(difference(one, other).settings).toEqual(['rules']);
});

test('several listeners that let the system choose a port are told apart by their turn', () => {
  const urls = ['mqtt://[::]:0', 'mqtt://127.0.0.1:0', 'mqtt://[::]:0'].map((url) => ({ url }));
  expect(listenerKeys(urls)).toEqual(['mqtt://[::]:0', 'mqtt://127.0.0.1:0', 'mqtt://[::]:0 (2)']);
});

test.each([
  ['rules', { rules: [] }],
  ['limits', { limits: { maxConnections: 7 } }],
  ['limits', { limits: { deny: ['10.0.0.0/8'] } }],
  ['log.level', { log: { level: 'warn' } }],
  ['admin.token', { admin: { token: 'secret' } }],
  ['admin.tokens', { admin: { tokens: [{ name: 'a', role: 'viewer', token: 'secret' }] } }],
  ['membership.recallTimeout', { membership: { recallTimeout: 0.1 } }],
])('%s may change while the proxy runs', (path, changes) => {
  expect(difference(config(), config(changes))).toEqual({ ...same, settings: [path] });
});

test.each([
  ['cluster', { cluster: 'other' }],
  ['proxy.id', { proxy: { id: 'edge-2', engine: 'node' } }],
  ['proxy.threads', { proxy: { id: 'edge-1', engine: 'node', threads: 3 } }],
  ['proxy.engine', { proxy: { id: 'edge-1' } }],
  ['membership.store', { membership: { store: 'redis' } }],
  ['membership.url', { membership: { url: 'redis://user:password@10.0.0.1' } }],
  ['membership.heartbeat', { membership: { heartbeat: 3 } }],
  ['admin.url', { admin: { url: 'http://127.0.0.1:9999' } }],
  ['limits.highWater', { limits: { highWater: 8192 } }],
  ['limits.gather', { limits: { gather: false } }],
  ['log.format', { log: { format: 'pretty' } }],
])('%s holds until the next start', (path, changes) => {
  expect(difference(config(), config(changes))).toEqual({ ...same, needRestart: [path] });
});

test('files and clients of the admin address may change, but not whether certificates are asked for', () => {
  const admin = (tls: object) =>
    config({ admin: { url: 'https://127.0.0.1:1', tls: { cert: 'a.crt', key: 'a.key', ...tls } } });
  const clients = [{ cn: 'alice', role: 'viewer' }];
  expect(difference(admin({}), admin({ cert: 'b.crt' }))).toEqual({ ...same, settings: ['admin.tls'] });
  const asked = { clientCa: 'ca.crt' };
  expect(difference(admin(asked), admin({ ...asked, clients }))).toEqual({
    ...same,
    settings: ['admin.tls'],
  });
  expect(difference(admin({}), admin(asked)).needRestart).toEqual(['admin.tls.clientAuth']);
});
