import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connectAsync } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { run } from '../support/cli.ts';
import { temporaryDirectory } from '../support/process.ts';

/** Where OpenSSL cannot be called as it is called here, because Node.js was built with another one: devices are served all the same. */

const NO_PROVIDER_FUNCTIONS = 'OSSL_PROVIDER_get0_provider_ctx';
const NO_OPENSSL = 'SSL_\\w+';
const NO_TLS = /TLS: it finds no OpenSSL 3 to call \(no SSL_\w+\); set proxy\.engine to node/;

let broker: string;
let issued: Issued;
beforeAll(async () => {
  const [aedes] = await startAedes(1);
  broker = aedes?.url ?? '';
  issued = createAuthority('root').issue({ cn: 'one', names: 'IP:127.0.0.1' });
});

/** The environment of a program whose OpenSSL lacks these. */
const without = (lacking: string) => ({
  LACKING: lacking,
  NODE_OPTIONS: `--require ${resolve(import.meta.dirname, '../support/lacking-functions.cjs')}`,
});

const configOf = (engine: string) => ({
  proxy: { engine, threads: 1 },
  listeners: [{ url: 'mqtts://127.0.0.1:0', tls: { cert: issued.certFile, key: issued.keyFile } }],
  pools: { default: { nodes: [{ url: broker }] } },
});

async function startLacking(lacking: string, engine: string) {
  const proxy = await startBreakwater(configOf(engine), [], without(lacking));
  const line = (msg: string) => proxy.logs().find((each) => each.msg === msg);
  return { ...proxy, line };
}

async function echo(url: string): Promise<string> {
  const device = await connectAsync(url, { clientId: 'd', reconnectPeriod: 0, rejectUnauthorized: false });
  const got = new Promise<Buffer>((done) => device.once('message', (_topic, payload) => done(payload)));
  await device.subscribeAsync('echo', { qos: 1 });
  await device.publishAsync('echo', 'hello', { qos: 1 });
  const payload = await got;
  await device.endAsync();
  return String(payload);
}

describe.runIf(process.platform === 'linux')('on Linux', () => {
  test('an OpenSSL without the functions of its ciphers keeps the records, and the log says why', async () => {
    const proxy = await startLacking(NO_PROVIDER_FUNCTIONS, 'auto');
    expect(proxy.line('starting')).toMatchObject({ engine: expect.stringMatching(/^(uring|epoll)$/) });
    expect(proxy.line('TLS records are left to OpenSSL')).toMatchObject({
      why: `no ${NO_PROVIDER_FUNCTIONS}`,
    });
    expect(await echo(proxy.url)).toBe('hello');
  });

  test('without OpenSSL `auto` takes the node engine, and the log says why', async () => {
    const proxy = await startLacking(NO_OPENSSL, 'auto');
    expect(proxy.line('starting')).toMatchObject({
      ...{
        engine: 'node',
        why: expect.stringMatching(/^not epoll: it finds no OpenSSL 3 to call \(no SSL_\w+\)$/),
      },
    });
    expect(await echo(proxy.url)).toBe('hello');
  });

  test('without OpenSSL the epoll engine has no TLS listener, and says what to do', async () => {
    await expect(startLacking(NO_OPENSSL, 'epoll')).rejects.toThrow(NO_TLS);
  });

  const secured = () => ({ ...configOf('epoll'), admin: { url: 'http://127.0.0.1:0' } });
  const plain = () => ({ ...secured(), listeners: [{ url: 'mqtt://127.0.0.1:0' }] });
  const toSecured = () => ({ ...plain(), pools: { default: { nodes: [{ url: 'mqtts://127.0.0.1:1' }] } } });
  test.each([
    ['a listener that speaks TLS has none without OpenSSL', secured, NO_OPENSSL, 2, NO_TLS],
    ['nor has a link to a node', toSecured, NO_OPENSSL, 2, NO_TLS],
    ['it is missing to nobody who speaks none', plain, NO_OPENSSL, 0, /^$/],
    [
      'records are left to OpenSSL',
      secured,
      NO_PROVIDER_FUNCTIONS,
      0,
      /proxy\.engine: TLS records are left to OpenSSL/,
    ],
  ])('`check` says before: %s', async (_, config, lacking, code, said) => {
    const file = join(temporaryDirectory(), 'breakwater.yaml');
    writeFileSync(file, JSON.stringify(config()));
    const checked = await run(['check', '-c', file], without(lacking));
    expect(checked).toMatchObject({ code, stderr: expect.stringMatching(said) });
  });
});
