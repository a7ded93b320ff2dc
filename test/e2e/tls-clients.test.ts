import { execFile } from 'node:child_process';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StatusView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { run } from '../support/cli.ts';
import { startProxy } from '../support/cluster.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** What `openssl s_client` and `mosquitto_pub` meet: revoked certificates, and sessions of another proxy. */

const execute = promisify(execFile);

let root: Authority;
let site: Authority;
let server: Issued;
let broker: Mosquitto;

beforeAll(async () => {
  root = createAuthority('root');
  site = root.below('site');
  server = root.issue({ cn: 'one.test', names: 'DNS:one.test,IP:127.0.0.1' });
  broker = await startMosquitto();
});

/** What `openssl s_client` says; it ends with its standard input, or when it is refused. */
async function handshake(port: number, ...args: readonly string[]): Promise<string> {
  const to = ['-connect', `127.0.0.1:${port}`, '-CAfile', root.certFile, '-verify_return_error'];
  const running = execute('openssl', ['s_client', ...to, ...args]);
  running.child.stdin?.on('error', () => undefined).end();
  const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error);
  return stdout + stderr;
}

/** Whether `mosquitto_pub` is let in with this certificate, and its message acknowledged. */
async function publishes(port: number, { certFile, keyFile }: Issued, version: string): Promise<boolean> {
  const to = ['-h', '127.0.0.1', '-p', `${port}`, '-t', 'a', '-m', 'x', '-q', '1', '-V', 'mqttv5'];
  const tls = ['--cafile', root.certFile, '--cert', certFile, '--key', keyFile, '--tls-version', version];
  return execute('mosquitto_pub', [...to, ...tls], { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

describe.each(['epoll', 'node'])('revoked certificates at the %s engine', (engine) => {
  const versions = ['tlsv1.2', 'tlsv1.3'];
  // Node.js looks at certificates behind the handshake, and then only closes.
  const revokedAlert = engine === 'epoll' ? /alert certificate revoked/ : /unexpected eof/;
  const expiredAlert = engine === 'epoll' ? /alert certificate expired/ : /unexpected eof/;
  let good: Issued;
  let revoked: Issued;
  let below: Issued;

  beforeAll(() => {
    good = root.issue({ cn: 'good' });
    revoked = root.issue({ cn: 'revoked' });
    below = site.issue({ cn: 'below' });
  });

  async function start(pem: string, expiredCrl: 'refuse' | 'tolerate') {
    const file = join(temporaryDirectory(), 'devices.crl');
    const write = (text: string): void => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    write(pem);
    const tls = { cert: server.certFile, key: server.keyFile, clientCa: root.certFile };
    const proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: [
        { url: 'mqtts://127.0.0.1:0', tls: { ...tls, clientAuth: 'require', crl: file, expiredCrl } },
      ],
      pools: { default: { nodes: [{ url: broker.url }] } },
    });
    return { proxy, write };
  }

  const states = async (proxy: Breakwater) =>
    (await proxy.api<StatusView>('status')).crls.map(({ state }) => state);
  const whoIsIn = async ({ port }: Breakwater, version: string) => {
    const devices = [good, revoked, below];
    return Promise.all(devices.map((each) => publishes(port, each, version)));
  };

  test('are refused, and nobody else', async () => {
    const { proxy, write } = await start(root.crl([revoked]) + site.crl([]), 'refuse');
    for (const version of versions) expect(await whoIsIn(proxy, version)).toEqual([true, false, true]);
    const shown = ['-cert', revoked.certFile, '-key', revoked.keyFile];
    expect(await handshake(proxy.port, '-tls1_2', ...shown)).toMatch(revokedAlert);
    expect(await states(proxy)).toEqual(['valid', 'valid']);
    write(root.crl([revoked, site]) + site.crl([]));
    await until(async () => !(await publishes(proxy.port, below, 'tlsv1.3')), 'the new list');
    for (const version of versions) expect(await whoIsIn(proxy, version)).toEqual([true, false, false]);
  });

  test('by a list that has expired: nobody is let in, and the log and status say so', async () => {
    const { proxy } = await start(root.crl([revoked], -1) + site.crl([], -1), 'refuse');
    expect(await whoIsIn(proxy, 'tlsv1.3')).toEqual([false, false, false]);
    const shown = ['-cert', good.certFile, '-key', good.keyFile];
    expect(await handshake(proxy.port, '-tls1_2', ...shown)).toMatch(expiredAlert);
    expect(await states(proxy)).toEqual(['expired', 'expired']);
    expect(proxy.logs().find(({ msg }) => msg.startsWith('a revocation list has expired'))).toMatchObject({
      level: 'error',
    });
  });

  test('by a list that has expired and is tolerated: it counts, and the log and status say so', async () => {
    const { proxy } = await start(root.crl([revoked], -1) + site.crl([], -1), 'tolerate');
    expect(await whoIsIn(proxy, 'tlsv1.3')).toEqual([true, false, true]);
    expect(await states(proxy)).toEqual(['tolerated', 'tolerated']);
    expect(proxy.logs().some(({ msg }) => msg.startsWith('a revocation list has expired'))).toBe(true);
    const { stdout } = await run(['status', '--admin', proxy.adminUrl]);
    expect(stdout).toMatch(/^! the revocation list of O=Test, CN=root at mqtts:.* has expired at /m);
  });
});

describe.each(['epoll', 'node'])('TLS sessions at two proxies with the %s engine', (engine) => {
  /** Whether `openssl s_client` resumes at the second proxy what it began at the first. */
  async function resumes(version: string, secret: string | undefined): Promise<boolean> {
    const redis = await startRedis();
    const config = {
      listeners: [{ url: 'mqtts://127.0.0.1:0', tls: { cert: server.certFile, key: server.keyFile } }],
      pools: { default: { nodes: [{ url: broker.url }] } },
      ...(secret && { membership: { secret } }),
    };
    const [first, second] = await Promise.all(
      ['p1', 'p2'].map((id) => startProxy(redis, id, { ...config, proxy: { id, engine, threads: 1 } })),
    );
    const at = async () => {
      const file = join(temporaryDirectory(), 'session');
      await handshake(first?.port ?? 0, version, '-sess_out', file);
      return existsSync(file) && handshake(second?.port ?? 0, version, '-sess_in', file);
    };
    if (secret === undefined) return String(await at()).includes('Reused, TLS');
    return until(async () => String(await at()).includes('Reused, TLS'), 'the keys to be shared', 30_000);
  }

  // s_client says of TLS 1.3 that a session is new, because it ends before the ticket has come.
  test('are resumed at either where they have a secret', async () => {
    expect(await resumes('-tls1_2', 'a secret of the cluster')).toBe(true);
  }, 60_000);

  test('are not where they have none', async () => {
    expect(await resumes('-tls1_2', undefined)).toBe(false);
  }, 60_000);
});
