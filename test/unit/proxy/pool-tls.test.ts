import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import type { Config } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { PoolTls } from '../../../src/proxy/pool-tls.ts';
import { type Authority, createAuthority } from '../../support/certificates.ts';
import { atEnd, temporaryDirectory } from '../../support/process.ts';

let one: Authority;
let two: Authority;
let folder: string;
let poolTls: PoolTls;
let warnings: unknown[];
let applied: number;
let refusal: Error | undefined;

beforeAll(() => {
  one = createAuthority('one');
  two = createAuthority('two');
});

beforeEach(() => {
  folder = temporaryDirectory();
  warnings = [];
  applied = 0;
  refusal = undefined;
  const log = { info: () => {}, error: () => {}, warn: (fields: unknown) => warnings.push(fields) };
  poolTls = new PoolTls({
    async apply() {
      if (refusal !== undefined) throw refusal;
      applied++;
    },
    log: log as unknown as Log,
    onTold: () => {},
  });
  atEnd(() => poolTls.stop());
});

function configOf(pools: object): Config {
  const listeners = [{ url: 'mqtt://a:1', pool: Object.keys(pools)[0] }];
  return parseConfig(JSON.stringify({ listeners, pools }), join(folder, 'breakwater.yaml'));
}

function put({ certFile }: Authority): void {
  copyFileSync(certFile, join(folder, 'new'));
  renameSync(join(folder, 'new'), join(folder, 'ca.crt'));
}

const verified = { upstream: { tls: { ca: 'ca.crt', serverName: 'node.test' } } };

it('is known by pool once it is used, and follows the files', async () => {
  put(one);
  await poolTls.prepare(configOf({ a: verified, b: {} }));
  expect(poolTls.of('a')).toBeUndefined();
  poolTls.use();
  const known = {
    ca: one.cert,
    certificate: undefined,
    serverName: 'node.test',
    verify: true,
    records: 'own',
  };
  expect(poolTls.of('a')).toEqual(known);
  expect(poolTls.of('b')).toBeUndefined();
  put(two);
  expect(await poolTls.refresh()).toEqual([]);
  expect(poolTls.of('a')).toEqual({ ...known, ca: two.cert });
  expect(applied).toBe(1);
});

it('of a pool that is gone is known until the next reload, and what comes next is not in use before', async () => {
  put(one);
  await poolTls.prepare(configOf({ a: verified }));
  poolTls.use();
  await poolTls.prepare(configOf({ b: verified }));
  expect([poolTls.of('a')?.ca, poolTls.of('b')]).toEqual([one.cert, undefined]);
  poolTls.use();
  expect([poolTls.of('a')?.ca, poolTls.of('b')?.ca]).toEqual([one.cert, one.cert]);
  poolTls.use();
  expect(poolTls.of('a')).toBeUndefined();
});

it('stays what it was where threads refuse it, and is offered again', async () => {
  put(one);
  await poolTls.prepare(configOf({ a: verified }));
  poolTls.use();
  put(two);
  refusal = new Error('not these');
  expect(await poolTls.refresh()).toEqual([
    { path: ['pools', 'a', 'upstream', 'tls'], message: 'not these' },
  ]);
  expect(poolTls.of('a')?.ca).toBe(one.cert);
  refusal = undefined;
  expect(await poolTls.refresh()).toEqual([]);
  expect(poolTls.of('a')?.ca).toBe(two.cert);
});

it('is not prepared from bad files: what was used stays', async () => {
  put(one);
  await poolTls.prepare(configOf({ a: verified }));
  poolTls.use();
  const missing = { upstream: { tls: { ca: 'missing.crt', cert: 'ca.crt', key: 'ca.crt' } } };
  await expect(poolTls.prepare(configOf({ a: missing }))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    problems: [
      { path: 'pools.a.upstream.tls.ca', message: expect.stringContaining('there is no such file') },
      {
        path: 'pools.a.upstream.tls.key',
        message: expect.stringContaining('not an unencrypted private key'),
      },
    ],
  });
  poolTls.use();
  expect(poolTls.of('a')?.ca).toBe(one.cert);
});

it('that verifies nothing is warned of', async () => {
  await poolTls.prepare(configOf({ a: { upstream: { tls: { verify: false } } } }));
  poolTls.use();
  expect(warnings).toEqual([{ pool: 'a' }]);
});
