import { resolve } from 'node:path';
import { connectAsync } from 'mqtt';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';

/** Where OpenSSL cannot be called as it is called here, because Node.js was built with another one: devices are served all the same. */

const NO_PROVIDER_FUNCTIONS = 'OSSL_PROVIDER_get0_provider_ctx';
const NO_OPENSSL = 'SSL_\\w+';

let broker: string;
let issued: Issued;
beforeAll(async () => {
  const [aedes] = await startAedes(1);
  broker = aedes?.url ?? '';
  issued = createAuthority('root').issue({ cn: 'one', names: 'IP:127.0.0.1' });
});

async function startLacking(lacking: string, engine: string) {
  const proxy = await startBreakwater(
    {
      proxy: { engine, threads: 1 },
      listeners: [{ url: 'mqtts://127.0.0.1:0', tls: { cert: issued.certFile, key: issued.keyFile } }],
      pools: { default: { nodes: [{ url: broker }] } },
    },
    [],
    {
      LACKING: lacking,
      NODE_OPTIONS: `--require ${resolve(import.meta.dirname, '../support/lacking-functions.cjs')}`,
    },
  );
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
    await expect(startLacking(NO_OPENSSL, 'epoll')).rejects.toThrow(
      /TLS: it finds no OpenSSL 3 to call \(no SSL_\w+\); set proxy\.engine to node/,
    );
  });
});
