import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import { Certificates, type TlsListener } from '../../../src/proxy/certificates.ts';
import { type Authority, createAuthority, type Issued } from '../../support/certificates.ts';
import { atEnd, temporaryDirectory } from '../../support/process.ts';
import { until } from '../../support/wait.ts';

let root: Authority;
let one: Issued;
let two: Issued;

beforeAll(() => {
  root = createAuthority('root');
  one = root.issue({ cn: 'one.test' });
  two = root.issue({ cn: 'two.test' });
});

describe('the files of TLS', () => {
  let folder: string;
  let certificates: Certificates;
  let updates: { readonly index: number; readonly cert: string }[];
  let errors: string[];
  let refusal: Error | undefined;
  let told: unknown[];

  beforeEach(() => {
    folder = temporaryDirectory();
    updates = [];
    errors = [];
    refusal = undefined;
    const log = {
      info: () => undefined,
      error: ({ error }: { error: string }) => errors.push(error),
    } as unknown as Log;
    told = [];
    certificates = new Certificates({
      async update(index, tls) {
        if (refusal !== undefined) throw refusal;
        updates.push({ index, cert: tls.certificates[0]?.cert ?? '' });
      },
      log,
      onTold: ({ listener }, cause) => told.push([listener, cause === undefined]),
    });
    atEnd(() => certificates.stop());
  });

  const path = (name: string) => join(folder, name);

  /** As `install` and every careful writer does it. */
  function replace({ certFile, keyFile }: Issued): void {
    for (const [from, to] of [
      [certFile, 'tls.crt'],
      [keyFile, 'tls.key'],
    ] as const) {
      copyFileSync(from, path(`${to}.new`));
      renameSync(path(`${to}.new`), path(to));
    }
  }

  async function start(): Promise<void> {
    const tls = {
      certificates: [{ cert: path('tls.crt'), key: path('tls.key'), names: undefined }],
      ...({ clientCa: undefined, clientAuth: 'none', crl: undefined, expiredCrl: 'refuse' } as const),
      ...({ minVersion: 'TLSv1.2', ciphers: undefined, records: 'own' } as const),
    };
    const listeners: TlsListener[] = [
      { index: 3, url: 'mqtt://a:1' },
      { index: 5, url: 'mqtts://a:2', tls },
    ];
    const { options, problems } = await certificates.read(listeners);
    expect(problems).toEqual([]);
    certificates.use(listeners, options);
  }

  it('are taken by themselves when they are replaced', async () => {
    replace(one);
    await start();
    replace(two);
    await until(() => updates.length === 1, 'the update');
    expect(updates).toEqual([{ index: 5, cert: two.cert }]);
  });

  it('are taken when Kubernetes swaps the link to their folder', async () => {
    for (const [name, { certFile, keyFile }] of [
      ['..one', one],
      ['..two', two],
    ] as const) {
      mkdirSync(path(name));
      copyFileSync(certFile, path(`${name}/tls.crt`));
      copyFileSync(keyFile, path(`${name}/tls.key`));
    }
    symlinkSync('..one', path('..data'));
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, path(name));
    await start();
    symlinkSync('..two', path('..data_tmp'));
    renameSync(path('..data_tmp'), path('..data'));
    rmSync(path('..one'), { recursive: true });
    await until(() => updates.length === 1, 'the update');
    expect(updates[0]?.cert).toBe(two.cert);
  });

  it('are taken on request, when they have changed', async () => {
    replace(one);
    await start();
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toEqual([]);
    replace(two);
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toHaveLength(1);
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toHaveLength(1);
    expect(told).toEqual([['mqtts://a:2', true]]);
  });

  it('stay the former ones while the new are bad, which is said once', async () => {
    replace(one);
    await start();
    copyFileSync(two.certFile, path('tls.crt'));
    for (let time = 0; time < 3; time++) {
      expect(await certificates.refresh()).toEqual([
        expect.objectContaining({ path: ['listeners', 1, 'tls', 'key'] }),
      ]);
    }
    expect(errors).toEqual([expect.stringContaining('the key does not belong to the certificate')]);
    expect(told).toEqual([['mqtts://a:2', false]]);
    rmSync(path('tls.crt'));
    expect(await certificates.refresh()).toHaveLength(1);
    writeFileSync(path('tls.crt'), '');
    expect(await certificates.refresh()).toHaveLength(1);
    expect(updates).toEqual([]);
    replace(two);
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toHaveLength(1);
  });

  it('are offered again when a thread has refused them', async () => {
    replace(one);
    await start();
    replace(two);
    refusal = new Error('not these');
    expect(await certificates.refresh()).toEqual([{ path: ['listeners', 1, 'tls'], message: 'not these' }]);
    refusal = undefined;
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toHaveLength(1);
  });

  it('are left alone when they are no longer used', async () => {
    replace(one);
    await start();
    certificates.use([], []);
    replace(two);
    expect(await certificates.refresh()).toEqual([]);
    expect(updates).toEqual([]);
  });
});
