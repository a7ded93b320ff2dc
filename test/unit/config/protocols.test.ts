import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/problems.ts';

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

/** Everything that is said of a configuration. */
function problemsOf(document: object): string[] {
  try {
    parseConfig(JSON.stringify({ admin: { url: 'http://127.0.0.1:1' }, ...document }), 'test.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

const web = { nodes: [{ url: 'http://a:18083' }] };
const mqtt = { nodes: [{ url: 'mqtt://b:1883' }] };
const both = [listener('mqtt://[::]:1883'), listener('http://[::]:80', 'web')];

describe('what HTTP nodes cannot do is refused', () => {
  test.each<[what: string, pool: object, problem: string]>([
    [
      'a probe by MQTT',
      { health: { probe: 'mqtt' } },
      'web.health.probe: needs MQTT, and the nodes are http',
    ],
    [
      'client ids',
      { persistence: { by: 'client-id' } },
      'web.persistence.by: needs MQTT, and the nodes are http; use cookie',
    ],
    [
      'a hash of client ids',
      { strategy: 'client-id-hash' },
      'web.strategy: needs MQTT, and the nodes are http; use source-hash',
    ],
  ])('%s', (_what, pool, problem) => {
    const pools = { default: mqtt, web: { ...web, ...pool } };
    expect(problemsOf({ listeners: both, pools })[0]).toContain(`pools.${problem}`);
  });

  test('but a probe by MQTT where each node has a URL for that', () => {
    const nodes = [{ url: 'http://a:18083', probeUrl: 'mqtt://a:1883' }];
    const pools = { default: mqtt, web: { nodes, health: { probe: 'mqtt' } } };
    expect(problemsOf({ listeners: both, pools })).toEqual([]);
  });
});

test('a discovery whose nodes would speak another protocol than the listener is refused', () => {
  const found = { discovery: [{ dns: 'emqx', port: 18083 }] };
  expect(problemsOf({ listeners: both, pools: { default: mqtt, web: found } })).toEqual([
    'pools.web.discovery[0].scheme: finds nodes that speak MQTT, and http://[::]:80 of its pool needs HTTP; give one of them another pool',
  ]);
  const right = { discovery: [{ dns: 'emqx', port: 18083, scheme: 'http' }] };
  expect(problemsOf({ listeners: both, pools: { default: mqtt, web: right } })).toEqual([]);
});

describe('a rule that leads to nodes of another protocol', () => {
  const pools = { default: mqtt, web };
  const of = (rule: object, listeners: object[] = both) => problemsOf({ listeners, pools, rules: [rule] });

  test.each<[what: string, rule: object]>([
    ['for all that comes from a network', { when: { source: '10.0.0.0/8' }, pool: 'web' }],
    ['by its listener', { when: { listener: 'mqtt://[::]:1883' }, pool: 'web' }],
    ['for usernames', { when: { username: 'a' }, pool: 'web' }],
    ['for hosts', { when: { host: 'a' }, pool: 'default' }],
  ])('is refused: %s', (_what, rule) => {
    expect(of(rule)).toEqual([
      expect.stringMatching(/^rules\[0\]\.pool: sends what comes by \S+ to nodes that speak/),
    ]);
  });

  test.each<[what: string, rule: object]>([
    ['paths are of HTTP and WebSocket', { when: { path: '^/mqtt$' }, pool: 'web' }],
    ['usernames are of MQTT', { when: { username: 'a' }, pool: 'default' }],
    ['it names its listener', { when: { source: '10.0.0.0/8', listener: 'http://[::]' }, pool: 'web' }],
    ['it rejects', { when: { source: '10.0.0.0/8' }, reject: 'banned' }],
    ['no listener knows a name of TLS', { when: { sni: 'a' }, pool: 'web' }],
  ])('is taken where it cannot be asked there: %s', (_what, rule) => {
    expect(of(rule)).toEqual([]);
  });

  test('is refused where a WebSocket listener may ask it', () => {
    const listeners = [...both, listener('ws://[::]:8083')];
    expect(of({ when: { path: '^/x$' }, pool: 'web' }, listeners)).toHaveLength(1);
  });
});

test('all pools together hold at most 1,024 nodes', () => {
  const nodes = (count: number, from: number) =>
    Array.from({ length: count }, (_, i) => ({ url: `mqtt://10.0.${(from + i) >> 8}.${(from + i) & 255}` }));
  const listeners = [listener('mqtt://[::]', 'a')];
  expect(
    problemsOf({ listeners, pools: { a: { nodes: nodes(600, 0) }, b: { nodes: nodes(424, 600) } } }),
  ).toEqual([]);
  expect(
    problemsOf({ listeners, pools: { a: { nodes: nodes(600, 0) }, b: { nodes: nodes(425, 600) } } }),
  ).toEqual(['pools.b.nodes[424]: is one too many: all pools together hold at most 1024 nodes']);
});
