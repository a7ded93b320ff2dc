import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../../src/config/problems.ts';

const listener = (more: object) =>
  JSON.stringify({ listeners: [{ url: 'mqtts://0.0.0.0', tls: { cert: 'a.crt', key: 'a.key', ...more } }] });

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, 'test.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

describe('listeners[].tls', () => {
  it('listens on port 8883, with paths relative to the folder of the file', () => {
    const more = {
      clientCa: '/etc/ca.crt',
      clientAuth: 'require',
      crl: 'devices.crl',
      expiredCrl: 'tolerate',
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      records: 'openssl',
      certificates: [{ cert: 'b/b.crt', key: '../b.key', names: ['*.b.test'] }],
    };
    const [first] = parseConfig(listener(more), '/etc/breakwater/breakwater.yaml').listeners;
    expect(first).toMatchObject({ url: 'mqtts://0.0.0.0:8883', port: 8883 });
    expect(first?.tls).toEqual({
      certificates: [
        { cert: '/etc/breakwater/a.crt', key: '/etc/breakwater/a.key', names: undefined },
        { cert: '/etc/breakwater/b/b.crt', key: '/etc/b.key', names: ['*.b.test'] },
      ],
      clientCa: '/etc/ca.crt',
      clientAuth: 'require',
      crl: '/etc/breakwater/devices.crl',
      expiredCrl: 'tolerate',
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      records: 'openssl',
    });
  });

  it('is relative to where the program runs when the file is named without a folder', () => {
    expect(parseConfig(listener({}), 'breakwater.yaml').listeners[0]?.tls).toEqual({
      certificates: [{ cert: 'a.crt', key: 'a.key', names: undefined }],
      clientCa: undefined,
      clientAuth: 'none',
      crl: undefined,
      expiredCrl: 'refuse',
      minVersion: 'TLSv1.2',
      ciphers: undefined,
      records: 'own',
    });
  });

  it.each([
    [
      'listeners: [{ url: mqtts://a }]',
      'line 1, column 13: listeners[0].tls: is required for mqtts; give at least',
    ],
    ['listeners: [{ url: mqtt://a, tls: { cert: a, key: b } }]', 'listeners[0].tls: is of no use to mqtt'],
    ['listeners: [{ url: mqtts://a, tls: { cert: a } }]', 'listeners[0].tls.key: is required'],
    [listener({ clientAuth: 'require' }), 'listeners[0].tls.clientCa: is required, because clientAuth asks'],
    [listener({ clientAuth: 'maybe' }), "tls.clientAuth: must be none, request or require, not 'maybe'"],
    [listener({ certificates: [{ cert: 'b' }] }), 'listeners[0].tls.certificates[0].key: is required'],
    [listener({ certificates: [{ cert: 'b', key: 'b', names: ['a.*'] }] }), 'names[0]: must be a host name'],
    [listener({ certificates: [{ cert: 'b', key: 'b', names: [] }] }), 'names: must not be an empty list'],
    [listener({ minVersion: '1.0' }), "tls.minVersion: must be TLSv1.2 or TLSv1.3, not '1.0'"],
    [listener({ minVersion: 1.3 }), 'tls.minVersion: must be TLSv1.2 or TLSv1.3'],
    [listener({ ciphers: 'A B' }), 'tls.ciphers: must be OpenSSL’s names of ciphers'],
    [listener({ crl: 'a.crl' }), 'tls.crl: is of no use with clientAuth none'],
    [listener({ maxVersion: '1.0' }), 'listeners[0].tls.maxVersion: is not a known key'],
  ])('%s', (text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)]);
  });
});
