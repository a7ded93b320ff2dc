import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { defaultConfig, parseConfig } from '../../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../../src/config/problems.ts';
import { allV2Fields } from '../../../src/protocol/proxy-protocol/encode.ts';

/** The problems of a file, one text each. */
function problemsOf(text: string, flags = {}): string[] {
  try {
    parseConfig(text, 'test.yaml', flags);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

describe('a valid file', () => {
  it('is complete without any key: session mode on port 1883, one empty pool, admin on loopback', () => {
    const config = parseConfig('', 'empty.yaml');
    expect(config).toEqual(defaultConfig());
    expect(config.listeners).toEqual([
      {
        ...{ url: 'mqtt://0.0.0.0:1883', host: '0.0.0.0', port: 1883 },
        ...{ mode: 'session', pool: 'default', trustedProxies: [], neighbours: [] },
      },
    ]);
    expect(config.pools.map(({ name, strategy, nodes }) => ({ name, strategy, nodes }))).toEqual([
      { name: 'default', strategy: 'least-connections', nodes: [] },
    ]);
    expect(config.admin).toMatchObject({ host: '127.0.0.1', port: 9883, token: undefined });
  });

  it('may limit one listener otherwise than the others', () => {
    const text = 'listeners: [{ url: "mqtt://:1", maxConnections: 5 }, { url: "mqtt://:2", connectRate: 0 }]';
    const { listeners } = parseConfig(text.replaceAll('://:', '://0.0.0.0:'), 'test.yaml');
    expect(listeners.map(({ limits }) => limits)).toEqual([
      { maxConnectionsPerListener: 5 },
      { connectRate: 0 },
    ]);
    expect(problemsOf('listeners: [{ url: mqtt://0.0.0.0, connectRate: -1 }]')[0]).toContain(
      'must be a whole number from 0 to 1000000 (connections per second), not -1',
    );
  });

  it('comes out in milliseconds and bytes', () => {
    const { limits, pools } = defaultConfig();
    expect(limits).toEqual({
      maxConnections: 100_000,
      connectTimeoutMs: 10_000,
      pendingBytes: 67_108_864,
      maxPacketBytes: 1_048_576,
      highWaterBytes: 65_536,
      maxHandshakes: 1000,
      gathers: true,
      halfCloseTimeoutMs: 10_000,
      maxOfflineBytes: 65_536,
      maxInflightBytes: 1_048_576,
      maxStateBytes: 262_144,
      sessionMemoryBytes: 67_108_864,
      sessionMemoryMs: 86_400_000,
      history: { devices: 100_000, bytes: 67_108_864 },
      http: {
        maxHeadBytes: 16_384,
        maxBodyBytes: 67_108_864,
        minBodyRate: 250,
        requestTimeoutMs: 300_000,
        stallTimeoutMs: 60_000,
        keepAliveMs: 60_000,
      },
      upgradeGraceMs: 86_400_000,
      shutdownGraceMs: 30_000,
      shutdownListeners: 'until-taken-over',
      limiter: {
        ...{ allow: [], deny: [], connectRate: 0, connectRatePerSource: 0 },
        ...{ maxConnectionsPerListener: 0, maxConnectionsPerSource: 0 },
      },
      refusalsTold: 20,
      rates: { messageRate: 0, byteRate: 0 },
      reconnectThrottle: { tolerated: 100, forgiveMs: 1000, firstDelayMs: 500, maxDelayMs: 10_000 },
    });
    expect(pools[0]?.upstream).toEqual({
      connectTimeoutMs: 3000,
      connackTimeoutMs: 5000,
      connackDeadlineMs: 120_000,
      maxAttempts: 5,
      deadlineMs: 15_000,
      connectRate: 0,
      connectQueue: 1000,
      reattachDeadlineMs: 20_000,
      reattachConnackDeadlineMs: 40_000,
      silenceTimeoutMs: 5000,
      silenceDeadlineMs: 180_000,
      takeoverFiresWill: true,
      leavesFirst: false,
      lostLink: 'evidence',
      sourceAddresses: [],
      transparent: false,
      http: { answerTimeoutMs: 60_000, silenceTimeoutMs: 300_000, maxRequests: 1024 },
      proxyProtocol: 'none',
      proxyProtocolFields: allV2Fields,
    });
    expect(pools[0]?.health).toMatchObject({ probe: 'tcp', intervalMs: 5000, timeoutMs: 5000 });
  });

  it('names a node without an id by its host and port, IPv6 too', () => {
    const text = 'pools: { default: { nodes: [{ url: "mqtt://[::1]:1884" }, { url: mqtt://emqx }] } }';
    const [pool] = parseConfig(text, 'test.yaml').pools;
    expect(pool?.nodes.map(({ id, source }) => [id, source])).toEqual([
      ['::1:1884', 'config'],
      ['emqx:1883', 'config'],
    ]);
  });

  it('is frozen to its depth', () => {
    const config = defaultConfig({ node: ['mqtt://a:1'] });
    for (const part of [config, config.listeners, config.pools[0]?.health, config.pools[0]?.nodes[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('a bad file', () => {
  it('is one CONFIG_INVALID that lists all problems in order, each with line and path', () => {
    const text = [
      'cluster: a b',
      'listeners:',
      '  - url: ftp://0.0.0.0:8884',
      '    pool: nope',
      'pools:',
      '  default:',
      '    nodes:',
      '      - { id: a, url: "mqtt://10.0.0.1:1883", weight: 101 }',
      'colour: red',
    ].join('\n');
    expect(() => parseConfig(text, 'test.yaml')).toThrow(BreakwaterError);
    expect(() => parseConfig(text, 'test.yaml')).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/^test\.yaml: 5 problems\n/),
      }),
    );
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(/^line 1, column 1: cluster: must be 1 to 64 letters/),
      expect.stringMatching(/^line 3, column 5: listeners\[0\]\.url: scheme 'ftp' is unknown; use mqtt\b/),
      "line 4, column 5: listeners[0].pool: pool 'nope' does not exist; use default",
      'line 8, column 47: pools.default.nodes[0].weight: must be a whole number from 1 to 100 (relative share), not 101',
      'line 9, column 1: colour: is not a known key',
    ]);
  });

  it.each([
    ['interval', 1.9, '2 to 60'],
    ['interval', 61, '2 to 60'],
    ['timeout', 4, '5 to 300'],
    ['timeout', 301, '5 to 300'],
    ['unhealthyThreshold', 1, '2 to 10'],
    ['unhealthyThreshold', 11, '2 to 10'],
    ['healthyThreshold', 1, '2 to 10'],
    ['healthyThreshold', 2.5, '2 to 10'],
  ])('refuses health.%s of %d and says the range', (key, value, range) => {
    const [problem, ...rest] = problemsOf(`pools: { default: { health: { ${key}: ${value} } } }`);
    expect(problem).toContain(`pools.default.health.${key}: must be`);
    expect(problem).toContain(range);
    expect(rest).toEqual([]);
  });

  it.each([
    ['listeners: [{ url: mqtt://a:1, mode: bridge }]', 'session'],
    ['listeners: [{ url: mqtt://a:1 }, { url: mqtt://a:1 }]', 'address a:1 is used twice'],
    [
      'listeners: [{ url: "mqtt://127.0.0.1:9883" }]\nadmin: { url: "http://127.0.0.1:9883" }',
      'is used twice',
    ],
    [
      'listeners:\n  - url: mqtt://0.0.0.0:1884\n  - url: tcp://127.0.0.1:1884\n    pool: b\npools: { default: {}, b: {} }',
      'line 3, column 5: listeners[1].url: address 127.0.0.1:1884 is part of 0.0.0.0:1884 of listeners[0].url',
    ],
    [
      'listeners: [{ url: "mqtt://[::1]:1884" }, { url: "mqtt://[0:0:0:0:0:0:0:1]:1884" }]',
      'listeners[1].url: address [::1]:1884 is used twice',
    ],
    [
      'listeners: [{ url: "mqtt://[::]:9883" }]',
      'listeners[0].url: address [::]:9883 includes 127.0.0.1:9883 of admin.url',
    ],
    ['listeners: []', 'at least one listener'],
    ['listeners: [{}]', 'listeners[0].url: is required'],
    ['pools: { a: {} }', "pool 'default' does not exist; use a"],
    [
      'pools: { default: { nodes: [{ url: mqtt://a }, { url: mqtt://a }] } }',
      "node id 'a:1883' is used twice",
    ],
    ['pools: { default: { nodes: [{ url: mqtt://300.1.1.1 }] } }', 'is not an IPv4 address'],
    ['pools: { default: { nodes: [{ url: mqtt://a:65536 }] } }', 'is not 1 to 65535'],
    [
      'pools: { default: { nodes: [{ url: mqtt://a, probeUrl: ftp://a }] } }',
      "scheme 'ftp' is unknown; use http, https, mqtt, mqtts or tcp",
    ],
    [
      'listeners: [{ url: mqtt://a, pool: b }]\npools: { b: {}, c: { nodes: [{ url: mqtt://a }, { url: tcp://b:1 }] } }',
      'nodes[1].url: speaks TCP, and mqtt://a of its pool needs MQTT',
    ],
    [
      'listeners: [{ url: tcp://a:1 }]\npools: { default: { nodes: [{ url: mqtt://a }] } }',
      'nodes[0].url: speaks MQTT, and tcp://a:1 of its pool needs TCP',
    ],
    [
      'listeners: [{ url: tcp://a:1 }]\npools: { default: { nodes: [{ url: tcp://a }] } }',
      'nodes[0].url: node URL "tcp://a": the port is missing',
    ],
    [
      'listeners: [{ url: tcp://a:1 }]\npools: { default: { strategy: client-id-hash, nodes: [{ url: tcp://a:2 }] } }',
      'strategy: needs MQTT, and the nodes are tcp; use source-hash',
    ],
    [
      'listeners: [{ url: tcp://a:1 }]\npools: { default: { health: { probe: mqtt }, nodes: [{ url: tcp://a:2 }] } }',
      'health.probe: needs MQTT, and the nodes are tcp; use tcp',
    ],
    ['listeners: [{ url: tcp://a }]', 'needs a port'],
    ['listeners: [{ url: constructor://a }]', "scheme 'constructor' is unknown"],
    ['listeners: [{ url: tcp://a:1, pool: constructor }]', "'constructor'"],
    ['listeners: [{ url: mqtt://a, passthrough: tls }]', 'passthrough: is for tcp listeners'],
    ['listeners: [{ url: mqtt://a, proxyProtocol: require }]', 'trustedProxies: is needed with'],
    ['listeners: [{ url: mqtt://a, trustedProxies: [10.0.0.0/33] }]', 'CIDR block'],
    [
      'pools: { default: { upstream: { transparent: true, sourceAddresses: [10.0.0.1] } } }',
      'sourceAddresses: has no meaning beside transparent',
    ],
    ['pools: { default: { upstream: { proxyProtocol: v3 } } }', 'none, v1 or v2'],
    ['pools: { default: { upstream: { proxyProtocolTlvs: [sni] } } }', 'alpn, authority'],
    ['pools: { default: { strategy: fastest } }', 'must be round-robin, least-connections'],
    ['rules: [{ when: { clientId: "(" }, pool: default }]', 'missing closing )'],
    ['rules: [{ when: { clientId: "(" }, key: $1 }]', 'missing closing )'],
    ['rules: [{ when: { clientId: "(?=a)" }, pool: default }]', 'look-around'],
    [
      'rules: [{ when: { source: [10.0.0.0/8, x] }, pool: default }]',
      'rules[0].when.source[1]: must be an IP address',
    ],
    ['rules: [{ when: { source: [] }, pool: default }]', 'empty list'],
    ['rules: [{ when: { protocolVersion: 6 }, pool: default }]', 'must be 3 (MQTT 3.1)'],
    [
      'rules: [{ when: { listener: "mqtt://1.2.3.4" }, pool: default }]',
      "listener 'mqtt://1.2.3.4:1883' does not exist",
    ],
    ['rules: [{ when: { clientId: "^a" }, key: $1 }]', 'rules[0].key: $1 refers to nothing'],
    ['rules: [{ when: { clientId: a }, mode: bridge }]', 'session'],
    [
      'rules: [{ when: { clientId: a } }]',
      'needs either reject, or at least one of pool, key, mode and limits',
    ],
    ['rules: [{ when: { source: 10.0.0.0/33 }, pool: default }]', 'CIDR block'],
    ['rules: [{ when: { username: a }, pool: b }]', "pool 'b' does not exist"],
    ['rules: [{ when: { username: a }, pool: default, reject: banned }]', 'either reject, or'],
    ['rules: [{ when: {}, pool: default }]', 'at least one of clientId'],
    [
      `pools: { default: { nodes: [{ url: "mqtt://${'long.'.repeat(12)}name" }] } }`,
      'nodes[0].id: is required',
    ],
    ['proxy: { threads: 65 }', "must be 'auto' or a whole number from 1 to 64"],
    ['membership: { store: etcd }', "must be memory or redis, not 'etcd'"],
    ['membership: { url: "http://a" }', "scheme 'http' is unknown; use redis, rediss"],
    ['membership: { heartbeat: 0.1 }', 'from 0.2 to 30 (seconds), not 0.1'],
    ['membership: { recallTimeout: 2 }', 'from 0.005 to 1 (seconds), not 2'],
    ['pools: { default: { persistence: { by: client-id, ttl: 0 } } }', 'persistence.ttl: must be'],
    ['pools: { default: { slowStart: 601 } }', 'from 0 to 600 (seconds), not 601'],
    ['limits:', 'limits: is empty'],
    ['log: pretty', 'log: must be a mapping'],
    ['a: 1\na: 2', 'line 2, column 1: a: is given twice; leave one out'],
    ['- 1', 'must be a mapping'],
    ['__proto__: 1', '__proto__'],
    ['pools: { default: {}, __proto__: {} }', '__proto__'],
    ['? [1]\n: 2', 'keys must be strings'],
    [
      `a: &a [x, x]\n${[...'bcdefgh'].map((name, i) => `${name}: &${name} [${`*${'abcdefg'[i]}, `.repeat(9)}]`).join('\n')}`,
      'its aliases unfold to too much',
    ],
  ])('%j: %s', (text, message) => {
    expect(problemsOf(text).join('\n')).toContain(message);
  });

  it('needs a token for an admin API beyond loopback, and takes it from the environment too', () => {
    const text = 'admin: { url: "http://0.0.0.0:9883" }';
    expect(() => parseConfig(text, 'test.yaml')).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ code: 'ADMIN_TOKEN_REQUIRED', line: 1 })],
      }),
    );
    expect(parseConfig(text, 'test.yaml', { adminToken: 's3cret' }).admin.token).toBe('s3cret');
    expect(problemsOf('admin: { url: "http://[::1]:9883" }')).toEqual([]);
  });

  it('never repeats a password of a URL', () => {
    const inFile = problemsOf('pools: { default: { nodes: [{ url: "mqtt://user:hunter2@a:1" }] } }');
    const inFlag = problemsOf('', { node: ['mqtt://user:hunter2@a:1'] });
    expect([inFile.length, inFlag.length]).toEqual([1, 1]);
    expect(`${inFile}${inFlag}`).not.toContain('hunter2');
  });

  it('is refused with ConfigError whatever it holds', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('&a [*a]', '!!x 1', '? [1]: 2', '--- 1\n--- 2'),
    );
    fc.assert(
      fc.property(text, fc.constantFrom('', 'pools: ', 'listeners: ', 'rules: ', 'admin: '), (value, key) => {
        try {
          parseConfig(key + value, 'fuzz.yaml', { node: ['mqtt://a'], strategy: 'source-hash' });
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
