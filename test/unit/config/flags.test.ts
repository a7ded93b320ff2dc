import { describe, expect, it } from 'vitest';
import { defaultConfig, parseConfig } from '../../../src/config/load.ts';

const file = `
listeners: [{ url: mqtt://0.0.0.0:1883, pool: a }]
pools: { a: { nodes: [{ id: one, url: mqtt://one }] } }
`;

describe('flags over a file', () => {
  it('--listen replaces the listeners', () => {
    const { listeners } = defaultConfig({ listen: ['mqtt://127.0.0.1:0', 'mqtt://[::1]:2883'] });
    expect(listeners.map(({ url }) => url)).toEqual(['mqtt://127.0.0.1:0', 'mqtt://[::1]:2883']);
  });

  it('--node adds to the only pool, marked as from a flag', () => {
    const { pools } = parseConfig(file, 'f', { node: ['mqtt://two:1884,weight=20,id=two'] });
    expect(pools).toHaveLength(1);
    expect(pools[0]?.nodes).toEqual([
      { id: 'one', pool: 'a', url: 'mqtt://one', weight: 10, source: 'config' },
      { id: 'two', pool: 'a', url: 'mqtt://two:1884', weight: 20, source: 'flag' },
    ]);
  });

  it('--strategy holds for every pool, --admin moves the admin API and keeps its token', () => {
    const config = parseConfig('admin: { token: t }', 'f', {
      strategy: 'source-hash',
      admin: 'http://10.0.0.1:80',
    });
    expect(config.pools.map(({ strategy }) => strategy)).toEqual(['source-hash']);
    expect(config.admin).toMatchObject({ url: 'http://10.0.0.1:80', host: '10.0.0.1', port: 80, token: 't' });
  });

  it('--redis keeps the membership there, and the rest of it as it is in the file', () => {
    const { membership } = parseConfig('membership: { heartbeat: 2 }', 'f', { redis: 'redis://one:6380' });
    expect(membership).toMatchObject({ store: 'redis', url: 'redis://one:6380', heartbeatMs: 2000 });
  });

  it.each([
    [{ node: ['mqtt://b,weight=0'] }, '--node mqtt://b,weight=0: must be a whole number from 1 to 100'],
    [{ node: ['mqtt://b,pool=constructor'] }, "pool 'constructor' is not in the file"],
    [{ node: ['mqtt://b,colour=red'] }, "'colour=red' is not weight=N, id=ID or pool=P"],
    [{ node: ['mqtt://b,pool=nope'] }, "pool 'nope' is not in the file"],
    [{ node: ['mqtt://b,id=one'] }, "--node mqtt://b,id=one: node id 'one' is used twice"],
    [{ strategy: 'fastest' }, '--strategy: must be round-robin'],
    [{ redis: 'http://127.0.0.1' }, "--redis: scheme 'http' is unknown; use redis,"],
    [{ redis: 'redis://127.0.0.1:0' }, '--redis: has a host that is not name:port'],
    [{ admin: 'http://0.0.0.0:9883' }, '--admin http://0.0.0.0:9883: 0.0.0.0 is not loopback'],
  ])('%j is refused by the name of the flag', (flags, message) => {
    expect(() => parseConfig(file, 'f', flags)).toThrow(message);
  });
});
