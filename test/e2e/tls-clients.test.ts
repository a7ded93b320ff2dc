import { execFile } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StatusView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { run } from '../support/cli.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** What `openssl s_client` and `mosquitto_pub` meet with revoked certificates. */

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

  let proxy: Breakwater;
  /** Each behind a listener of its own, in this order. */
  const lists = ['current', 'expired', 'tolerated'] as const;
  type List = (typeof lists)[number];
  const portOf = (list: List) => proxy.ports[lists.indexOf(list)] as number;
  let replaceCurrent: (pem: string) => void;

  beforeAll(async () => {
    good = root.issue({ cn: 'good' });
    revoked = root.issue({ cn: 'revoked' });
    below = site.issue({ cn: 'below' });
    const folder = temporaryDirectory();
    const fileOf = (list: List) => join(folder, `${list}.crl`);
    const write = (list: List, pem: string): void => {
      writeFileSync(`${fileOf(list)}.new`, pem);
      renameSync(`${fileOf(list)}.new`, fileOf(list));
    };
    write('current', root.crl([revoked]) + site.crl([]));
    for (const list of ['expired', 'tolerated'] as const)
      write(list, root.crl([revoked], -1) + site.crl([], -1));
    replaceCurrent = (pem) => write('current', pem);
    const tls = { cert: server.certFile, key: server.keyFile, clientCa: root.certFile };
    proxy = await startBreakwater({
      proxy: { engine, threads: 1 },
      listeners: lists.map((list) => ({
        url: 'mqtts://127.0.0.1:0',
        tls: {
          ...{ ...tls, clientAuth: 'require', crl: fileOf(list) },
          expiredCrl: list === 'tolerated' ? 'tolerate' : 'refuse',
        },
      })),
      pools: { default: { nodes: [{ url: broker.url }] } },
    });
  });

  /** Of the two lists in its file. */
  const states = async (list: List) => {
    const { crls } = await proxy.api<StatusView>('status');
    return crls
      .slice(2 * lists.indexOf(list))
      .map(({ state }) => state)
      .slice(0, 2);
  };
  const whoIsIn = async (list: List, version: string) => {
    const devices = [good, revoked, below];
    return Promise.all(devices.map((each) => publishes(portOf(list), each, version)));
  };
  const logged = (what: string) =>
    proxy.logs().filter(({ msg }) => msg === `a revocation list has expired${what}`);

  test('are refused, and nobody else', async () => {
    for (const version of versions) expect(await whoIsIn('current', version)).toEqual([true, false, true]);
    const shown = ['-cert', revoked.certFile, '-key', revoked.keyFile];
    expect(await handshake(portOf('current'), '-tls1_2', ...shown)).toMatch(revokedAlert);
    expect(await states('current')).toEqual(['valid', 'valid']);
    replaceCurrent(root.crl([revoked, site]) + site.crl([]));
    await until(async () => !(await publishes(portOf('current'), below, 'tlsv1.3')), 'the new list');
    for (const version of versions) expect(await whoIsIn('current', version)).toEqual([true, false, false]);
  });

  test('by a list that has expired: nobody is let in, and the log and status say so', async () => {
    expect(await whoIsIn('expired', 'tlsv1.3')).toEqual([false, false, false]);
    const shown = ['-cert', good.certFile, '-key', good.keyFile];
    expect(await handshake(portOf('expired'), '-tls1_2', ...shown)).toMatch(expiredAlert);
    expect(await states('expired')).toEqual(['expired', 'expired']);
    const [line] = logged(': no device with a certificate is let in');
    expect(line).toMatchObject({ level: 'error' });
  });

  test('by a list that has expired and is tolerated: it counts, and the log and status say so', async () => {
    expect(await whoIsIn('tolerated', 'tlsv1.3')).toEqual([true, false, true]);
    expect(await states('tolerated')).toEqual(['tolerated', 'tolerated']);
    expect(logged(', and is used as it is (tls.expiredCrl)').length).toBeGreaterThan(0);
    const { stdout } = await run(['status', '--admin', proxy.adminUrl]);
    expect(stdout).toMatch(
      /^! the revocation list of O=Test, CN=root at mqtts:.* has expired at .*: it is used as it is/m,
    );
  });
});
