import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { formatProblem, unplaced } from '../../../src/config/problems.ts';
import type { TlsConfig } from '../../../src/config/tls.ts';
import { readTlsFiles } from '../../../src/proxy/tls-files.ts';
import { type Authority, createAuthority, type Issued } from '../../support/certificates.ts';
import { temporaryDirectory } from '../../support/process.ts';

const ticketKeys = [new Uint8Array(48)];
let root: Authority;
let one: Issued;
let two: Issued;

beforeAll(() => {
  root = createAuthority('root');
  one = root.issue({ cn: 'one.test' });
  two = root.issue({ cn: 'two.test' });
});

function tlsOf(
  certificates: readonly (readonly [string, string])[],
  more: Partial<TlsConfig> = {},
): TlsConfig {
  const named = certificates.map(([cert, key]) => ({ cert, key, names: undefined }));
  return {
    ...{ certificates: named, clientCa: undefined, clientAuth: 'none', crl: undefined },
    ...{ expiredCrl: 'refuse', minVersion: 'TLSv1.2', ciphers: undefined, records: 'own' },
    ...more,
  };
}

async function problemsOf(tls: TlsConfig): Promise<string[]> {
  const { options, problems } = await readTlsFiles([{ url: 'mqtts://a:1', tls }], ticketKeys);
  if (problems.length > 0) expect(options).toEqual([undefined]);
  return problems.map((one) => formatProblem(unplaced(one)));
}

function written(text: string): string {
  const file = join(temporaryDirectory(), 'file.pem');
  writeFileSync(file, text);
  return file;
}

describe('the files of listeners', () => {
  it('are read, for each scheme with what it speaks', async () => {
    const tls = tlsOf([[one.certFile, one.keyFile]], { clientCa: root.certFile, clientAuth: 'request' });
    const listeners = [
      { url: 'mqtt://a:1' },
      { url: 'mqtts://a:2', tls },
      { url: 'wss://a:3', tls },
      { url: 'https://a:4', tls },
    ];
    const { options, problems } = await readTlsFiles(listeners, ticketKeys);
    expect(problems).toEqual([]);
    expect(options.map((each) => each?.alpn)).toEqual([undefined, ['mqtt'], ['http/1.1'], ['http/1.1']]);
    expect(options[1]).toEqual({
      certificates: [{ cert: one.cert, key: one.key, names: undefined }],
      clientCa: root.cert,
      clientAuth: 'request',
      minVersion: 'TLSv1.2',
      records: 'own',
      alpn: ['mqtt'],
      ticketKeys,
    });
  });

  it('are all complained of at once, each at its place', async () => {
    const problems = await problemsOf(
      tlsOf(
        [
          ['/nowhere/a.crt', one.keyFile],
          [one.certFile, two.keyFile],
        ],
        { clientCa: temporaryDirectory() },
      ),
    );
    expect(problems.sort()).toEqual([
      'listeners[0].tls.cert: cannot read /nowhere/a.crt: there is no such file',
      `listeners[0].tls.certificates[0].key: ${two.keyFile}: the key does not belong to the certificate`,
      expect.stringMatching(/^listeners\[0\]\.tls\.clientCa: cannot read .*: it is a folder$/),
    ]);
  });

  it('are refused when they hold something else', async () => {
    expect(await problemsOf(tlsOf([[one.keyFile, one.keyFile]]))).toEqual([
      `listeners[0].tls.cert: ${one.keyFile}: the certificate is not in PEM`,
    ]);
    expect(await problemsOf(tlsOf([[one.certFile, one.certFile]]))).toEqual([
      expect.stringContaining(`tls.key: ${one.certFile}: the key is not an unencrypted private key in PEM`),
    ]);
    const cut = written(one.cert.slice(0, -60));
    expect(await problemsOf(tlsOf([[cut, one.keyFile]]))).toHaveLength(1);
  });

  describe('of revocation lists', () => {
    const asked = (more: Partial<TlsConfig>) =>
      tlsOf([[one.certFile, one.keyFile]], { clientCa: root.certFile, clientAuth: 'require', ...more });

    it('are read, with what they say of themselves', async () => {
      const tls = asked({ crl: written(root.crl([])), expiredCrl: 'tolerate' });
      const { options } = await readTlsFiles([{ url: 'mqtts://a:1', tls }], ticketKeys);
      expect(options[0]?.crl).toMatchObject({
        ...{ pem: expect.stringContaining('X509 CRL'), expired: 'tolerate', isExpired: false },
        lists: [{ issuerName: 'O=Test, CN=root', nextUpdateMs: expect.any(Number) }],
      });
      const expired = asked({ crl: written(root.crl([], -1)) });
      const again = await readTlsFiles([{ url: 'mqtts://a:1', tls: expired }], ticketKeys);
      expect(again.options[0]?.crl?.isExpired).toBe(true);
    });

    it('are refused among the authorities, with the remedy', async () => {
      const clientCa = written(root.cert + root.crl([one]));
      expect(await problemsOf(asked({ clientCa }))).toEqual([
        `listeners[0].tls.clientCa: ${clientCa}: it holds a revocation list, which is not looked at there; put it into a file of its own, and name that as tls.crl`,
      ]);
    });

    it('are refused where one is missing, and what is no list too', async () => {
      const other = createAuthority('other');
      expect(await problemsOf(asked({ crl: written(other.crl([])) }))).toEqual([
        expect.stringMatching(/tls\.crl: .*: it holds no list of O=Test, CN=root, which clientCa has: add/),
      ]);
      expect(await problemsOf(asked({ crl: root.certFile }))).toEqual([
        expect.stringContaining('it holds no certificate revocation list in PEM (BEGIN X509 CRL)'),
      ]);
      expect(await problemsOf(asked({ crl: '/nowhere' }))).toEqual([
        'listeners[0].tls.crl: cannot read /nowhere: there is no such file',
      ]);
    });
  });

  it('are used with ciphers that OpenSSL knows', async () => {
    const of = (ciphers: string) => problemsOf(tlsOf([[one.certFile, one.keyFile]], { ciphers }));
    expect(await of('ECDHE+AESGCM:TLS_AES_128_GCM_SHA256')).toEqual([]);
    expect(await of('TLS_AES_128_GCM_SHA256')).toEqual([]);
    for (const ciphers of ['NONSENSE', 'TLS_NONSENSE'])
      expect(await of(ciphers)).toEqual([expect.stringContaining(`listeners[0].tls.ciphers: ${ciphers}: `)]);
  });

  it('are refused when the key is too weak for OpenSSL', async () => {
    const directory = temporaryDirectory();
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const make = `req -x509 -nodes -newkey rsa:512 -keyout ${key} -out ${cert} -subj /CN=weak`;
    execFileSync('openssl', make.split(' '), { stdio: 'pipe' });
    expect(await problemsOf(tlsOf([[cert, key]]))).toEqual([expect.stringContaining('key too small')]);
  });
});
