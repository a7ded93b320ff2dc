import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';

const listener = (url: string, pool = 'default') => ({ url, pool });
const read = (listeners: object[], pools: object) =>
  parseConfig(JSON.stringify({ listeners, pools, admin: { url: 'http://127.0.0.1:1' } }), 'test.yaml');

test('HTTP and MQTT each in a pool of its own', () => {
  const pools = {
    default: { nodes: [{ url: 'mqtt://a:1883' }], upstream: { proxyProtocol: 'v2' } },
    web: { nodes: [{ url: 'http://a:18083' }], persistence: { by: 'cookie', mode: 'rewrite', name: 'S' } },
    unused: { nodes: [{ url: 'tcp://b:1' }, { url: 'tcp://b:2' }] },
  };
  const { listeners } = read([listener('mqtt://[::]'), listener('http://[::]', 'web')], pools);
  expect(listeners.map(({ url, port }) => [url, port])).toEqual([
    ['mqtt://[::]:1883', 1883],
    ['http://[::]:80', 80],
  ]);
});

test.each<[what: string, listeners: object[], pools: object, problem: string]>([
  [
    'an MQTT node behind http',
    [listener('http://[::]')],
    { default: { nodes: [{ url: 'mqtt://a' }] } },
    'pools.default.nodes[0].url: speaks MQTT, and http://[::] of its pool needs HTTP',
  ],
  [
    'an HTTP node behind mqtt',
    [listener('mqtt://[::]')],
    { default: { nodes: [{ url: 'mqtt://a' }, { url: 'http://b' }] } },
    'pools.default.nodes[1].url: speaks HTTP, and mqtt://[::] of its pool needs MQTT',
  ],
  [
    'a PROXY protocol header to HTTP nodes',
    [listener('http://[::]')],
    { default: { nodes: [{ url: 'http://a' }], upstream: { proxyProtocol: 'v1' } } },
    'upstream.proxyProtocol: is not for HTTP',
  ],
  [
    'cookies of nodes that set none',
    [listener('ws://[::]')],
    { default: { persistence: { by: 'cookie', mode: 'rewrite', name: 'S' } } },
    'persistence.mode: is not for ws://[::]',
  ],
])('%s is refused', (_what, listeners, pools, problem) => {
  expect(() => read(listeners, pools)).toThrow(problem);
});
