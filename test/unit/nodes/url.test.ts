import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { nodeSpec } from '../../../src/nodes/spec.ts';
import { defaultNodeId, parseNodeUrl, parseProbeUrl } from '../../../src/nodes/url.ts';

test.each([
  ['mqtt://10.0.0.1:1884', '10.0.0.1', 1884, '10.0.0.1:1884'],
  ['mqtt://emqx-1', 'emqx-1', 1883, 'emqx-1:1883'],
  ['MQTT://EMQX_1.Example.org.:1883/', 'emqx_1.example.org.', 1883, 'emqx_1.example.org.:1883'],
  ['mqtt://[::1]:1885', '::1', 1885, '::1:1885'],
  ['mqtt://[2001:DB8:0::1]', '2001:db8::1', 1883, '2001:db8::1:1883'],
])('%s is host %s, port %i, id %s', (text, host, port, id) => {
  expect(parseNodeUrl(text)).toEqual({ host, port });
  expect(defaultNodeId({ host, port })).toBe(id);
});

test.each([
  ['', 'is not mqtt://'],
  ['10.0.0.1:1883', 'is not mqtt://'],
  ['wss://a:8883', 'unknown scheme wss://'],
  ['constructor://a:8883', 'unknown scheme constructor://'],
  ['mqtt://', 'the host is missing'],
  ['mqtt://:1883', 'the host is missing'],
  ['mqtt://a:0', 'port "0"'],
  ['mqtt://a:65536', 'port "65536"'],
  ['mqtt://a:', 'port ""'],
  ['mqtt://a:1e3', 'port "1e3"'],
  ['mqtt://10.0.0.256', 'is not an IPv4 address'],
  ['mqtt://10.0.1', 'is not an IPv4 address'],
  ['mqtt://[::g]:1', 'is not an IPv6 address'],
  ['mqtt://::1:1883', 'stands in brackets'],
  ['mqtt://a b', 'the host is not a name'],
  ['mqtt://a/b', 'a node has no path'],
])('%j is refused: %s', (text, problem) => {
  expect(() => parseNodeUrl(text)).toThrow(expect.objectContaining({ code: 'NODE_INVALID' }));
  expect(() => parseNodeUrl(text)).toThrow(problem);
  expect(() => parseNodeUrl(text)).toThrow('for example mqtt://10.0.0.1:1883');
});

test('a password in a URL is refused and not repeated', () => {
  expect(() => parseNodeUrl('mqtt://u:hunter2@a')).toThrow('credentials do not belong here');
  expect(() => parseNodeUrl('mqtt://u:hunter2@a')).not.toThrow('hunter2');
});

test('any text is read or refused with NODE_INVALID', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl(),
        fc.string().map((rest) => `mqtt://${rest}`),
      ),
      (text) => {
        try {
          expect(parseNodeUrl(text).port).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(BreakwaterError);
        }
      },
    ),
  );
});

test('probe URLs have a path, and a port by their scheme', () => {
  expect(parseProbeUrl('http://a/status?x=1')).toEqual({ host: 'a', port: 80, path: '/status?x=1' });
  expect(parseProbeUrl('tcp://[::1]:9')).toEqual({ host: '::1', port: 9, path: '/' });
  expect(parseProbeUrl('https://a')).toEqual({ host: 'a', port: 443, path: '/' });
  expect(() => parseProbeUrl('ws://a')).toThrow(
    'unknown scheme ws://, expected http://, https://, mqtt://, mqtts://, tcp://',
  );
});

test('a declaration gets its defaults and is checked', () => {
  const declared = { url: 'mqtt://a', pool: 'default', source: 'api' } as const;
  expect(nodeSpec(declared)).toEqual({ ...declared, id: 'a:1883', weight: 10 });
  const refused: [object, string][] = [
    [{ id: 'no spaces' }, 'node id "no spaces"'],
    [{ id: 'x'.repeat(65) }, 'an id has 1 to 64'],
    [{ weight: 0 }, 'weight 0 is not a whole number from 1 to 100'],
    [{ weight: 1.5 }, 'weight 1.5'],
    [{ weight: 101 }, 'weight 101'],
    [{ probeUrl: 'nonsense' }, 'probe URL "nonsense"'],
  ];
  for (const [wrong, problem] of refused) expect(() => nodeSpec({ ...declared, ...wrong })).toThrow(problem);
});
