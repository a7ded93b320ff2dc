import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultConfig, parseConfig } from '../../../src/config/load.ts';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';

describe('membership', () => {
  it('is in memory without a word, and comes out in milliseconds', () => {
    expect(defaultConfig().membership).toEqual({
      store: 'memory',
      url: 'redis://127.0.0.1:6379',
      signing: undefined,
      heartbeatMs: 1000,
      recallTimeoutMs: 500,
    });
  });

  it('signs with a secret, which is long enough', () => {
    const signingOf = (membership: object) =>
      parseConfig(JSON.stringify({ membership }), 'f').membership.signing;
    const secret = 'sixteen or longer';
    expect(signingOf({ secret })).toEqual({ secret, formerSecret: undefined, acceptsUnsigned: false });
    expect(signingOf({ secret, formerSecret: 'old', unsigned: 'accept' })).toEqual({
      ...{ secret, formerSecret: 'old', acceptsUnsigned: true },
    });
    expect(() => signingOf({ secret: 'short' })).toThrow('at least 16 characters');
    expect(() => signingOf({ formerSecret: 'old' })).toThrow('is of no use without secret');
    expect(() => signingOf({ unsigned: 'accept' })).toThrow('is of no use without secret');
  });

  it('remembers devices by client id without Redis too', () => {
    const [pool] = parseConfig(
      'pools: { default: { persistence: { by: client-id }, slowStart: 0 } }',
      'f',
    ).pools;
    expect(pool).toMatchObject({ persistence: { by: 'client-id', ttlMs: 3_600_000 }, slowStartMs: 0 });
    expect(defaultConfig().pools[0]).toMatchObject({ persistence: { by: 'none' }, slowStartMs: 10_000 });
  });
});

describe('parseRedisUrl', () => {
  const a = { host: 'a', port: 6379 };
  it.each([
    ['redis://a', { kind: 'single', hosts: [a], master: '', db: 0, tls: undefined, password: undefined }],
    ['redis://[::1]:6380/2', { hosts: [{ host: '::1', port: 6380 }], db: 2 }],
    ['redis://u:a:b@a', { hosts: [a], username: 'u', password: 'a:b', label: 'redis://a' }],
    [
      'rediss://:p%40ss@a/?ca=/etc/ca.pem',
      { password: 'p@ss', tls: { ca: '/etc/ca.pem' }, label: 'rediss://a' },
    ],
    [
      'redis+sentinel://a,b:5000/mymaster/3?sentinelPassword=s%26t',
      {
        kind: 'sentinel',
        hosts: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 5000 },
        ],
        master: 'mymaster',
        db: 3,
        sentinelPassword: 's&t',
        label: 'redis+sentinel://a,b:5000/mymaster/3',
      },
    ],
    ['rediss+cluster://a,b:7001', { kind: 'cluster', tls: {}, hosts: [a, { host: 'b', port: 7001 }] }],
  ])('reads %s', (url, endpoint) => {
    expect(parseRedisUrl(url)).toMatchObject(endpoint);
  });

  it.each([
    ['redis://', 'must look like'],
    ['redis://u:p/w@a', 'encode @ and /'],
    ['redis://u:%zz@a', 'percent-encoding is broken'],
    ['redis://u@a', 'not user:password@'],
    ['redis://a?x=1', "after '?' only ca,"],
    ['redis://a?ca=f', 'use rediss://'],
    ['redis://a,b', 'redis+sentinel:// or redis+cluster://'],
    ['redis://a:70000', 'not name:port'],
    ['redis://a/x', 'database number'],
    ['redis://a/0/1', 'database number'],
    ['redis+sentinel://a', "master's name"],
    ['redis+cluster://a/1', 'only 0'],
    [`redis+cluster://${'a,'.repeat(64)}a`, 'more than 64'],
  ])('refuses %s: %s', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message);
  });

  it('never repeats the password, however broken the URL is', () => {
    const broken = fc.constantFrom(
      'redis://u:hunter2@',
      'redis://:hunter2@a,b',
      'http://:hunter2@a',
      'redis://hunter2@/a',
      'redis+cluster://u:hunter2@a/9',
      'redis://u:hunter2/x@a',
      'redis://u:hunter2',
      'redis://a?hunter2=hunter2',
    );
    fc.assert(
      fc.property(broken, fc.constantFrom('', '/x', ',', '?q', ' '), (url, tail) => {
        for (const flags of [{}, { redis: url + tail }]) {
          const text = 'redis' in flags ? '' : `membership: { store: redis, url: "${url + tail}" }`;
          expect(messageOf(() => parseConfig(text, 'f', flags))).toMatch(/membership\.url|--redis/);
          expect(messageOf(() => parseConfig(text, 'f', flags))).not.toContain('hunter2');
        }
      }),
    );
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
    return 'no problem';
  } catch (error) {
    return String(error);
  }
}
