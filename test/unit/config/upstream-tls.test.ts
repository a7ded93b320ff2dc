import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../../src/config/problems.ts';

const pool = (tls: object) =>
  JSON.stringify({ pools: { default: { upstream: { tls }, nodes: [{ url: 'mqtts://a' }] } } });

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, 'test.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

describe('pools.upstream.tls', () => {
  it('verifies unless it is said otherwise, with paths relative to the folder of the file', () => {
    const text = pool({ ca: 'ca.crt', cert: '/etc/own.crt', key: 'own.key', serverName: 'node.test' });
    const [first] = parseConfig(text, '/etc/breakwater/breakwater.yaml').pools;
    expect(first?.upstream.tls).toEqual({
      ca: '/etc/breakwater/ca.crt',
      serverName: 'node.test',
      certificate: { cert: '/etc/own.crt', key: '/etc/breakwater/own.key' },
      verify: true,
      records: 'own',
    });
    expect(first?.nodes).toMatchObject([{ id: 'a:8883', url: 'mqtts://a' }]);
  });

  it('may be absent', () => {
    expect(parseConfig('', 'test.yaml').pools[0]?.upstream.tls).toBeUndefined();
  });

  it.each([
    [{ cert: 'a' }, 'pools.default.upstream.tls.key: is required beside cert'],
    [{ key: 'a' }, 'pools.default.upstream.tls.cert: is required beside key'],
    [{ verify: 'no' }, 'pools.default.upstream.tls.verify: must be true or false'],
    [
      { serverName: 'mqtt://a' },
      'pools.default.upstream.tls.serverName: must be a host name or an IP address',
    ],
    [{ minVersion: 'TLSv1' }, 'pools.default.upstream.tls.minVersion: is not a known key'],
  ])('%j', (tls, problem) => {
    expect(problemsOf(pool(tls))).toEqual([expect.stringContaining(problem)]);
  });
});
