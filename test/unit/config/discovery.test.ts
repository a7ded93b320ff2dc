import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';

const parse = (entry: string) =>
  parseConfig(`pools: { default: { discovery: [${entry}] } }`, 'f').pools[0]?.discovery[0];

describe('pools.*.discovery', () => {
  it.each([
    [
      '{ dns: emqx }',
      {
        kind: 'dns',
        name: 'emqx',
        srv: false,
        scheme: 'mqtt',
        port: 1883,
        family: undefined,
        resolver: undefined,
        intervalMs: 5000,
      },
    ],
    [
      '{ dns: _mqtt._tcp.a.b, srv: true, family: 6, resolver: "[::1]:5353", interval: 0.5, port: 1884 }',
      {
        kind: 'dns',
        name: '_mqtt._tcp.a.b',
        srv: true,
        scheme: 'mqtt',
        port: 1884,
        family: 6,
        resolver: '[::1]:5353',
        intervalMs: 500,
      },
    ],
    [
      '{ emqx: "http://10.0.0.1:18083/", key: k, secret: s }',
      {
        kind: 'emqx',
        url: 'http://10.0.0.1:18083',
        key: 'k',
        secret: 's',
        scheme: 'mqtt',
        port: 1883,
        intervalMs: 5000,
      },
    ],
  ])('reads %s', (entry, discovery) => {
    expect(parse(entry)).toEqual(discovery);
  });

  it.each([
    ['{}', 'discovery[0]: needs either dns or emqx, and not both'],
    ['{ dns: a, emqx: "http://a" }', 'not both'],
    ['{ dns: "mqtt://a" }', 'dns: must be a host name'],
    ['{ dns: a, key: k }', 'discovery[0].key: does not go with dns'],
    ['{ emqx: "http://a" }', 'discovery[0].key: is required'],
    ['{ emqx: "http://a", key: k }', 'discovery[0].secret: is required'],
    ['{ emqx: "http://a", key: k, secret: s, srv: true }', 'srv: does not go with emqx'],
    ['{ emqx: "http://a/api/v5", key: k, secret: s }', 'must end after host and port'],
    ['{ emqx: "http://k:hunter2@a" }', 'credentials in key and secret'],
    ['{ emqx: "mqtt://a" }', "scheme 'mqtt' is unknown; use http or https"],
    ['{ dns: a, family: 5 }', 'must be 4 or 6'],
    ['{ dns: a, resolver: dns.example }', 'must look like 127.0.0.1:53'],
    ['{ dns: a, resolver: "1.2.3.400:53" }', 'is not an IP address and a port'],
    ['{ dns: a, interval: 0 }', 'from 0.2 to 3600'],
    ['{ dns: a }, { dns: a, interval: 9 }', 'discovery[1]: dns a is used twice'],
  ])('refuses %s: %s', (entry, message) => {
    expect(() => parse(entry)).toThrow(message);
    expect(() => parse(entry)).not.toThrow('hunter2');
  });

  it('takes one name with two ports, and one with two families, as different', () => {
    expect(parse('{ dns: a }, { dns: a, port: 1 }')).toBeDefined();
    expect(parse('{ dns: a, family: 4 }, { dns: a, family: 6 }')).toBeDefined();
  });
});
