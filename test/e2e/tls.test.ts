import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { connectAsync } from 'mqtt';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/admin/backend.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { type Authority, createAuthority, type Issued } from '../support/certificates.ts';
import { run } from '../support/cli.ts';
import { connectBytes } from '../support/devices.ts';
import { fastestEngine } from '../support/linux-engines.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { execute, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

let root: Authority;
let one: Issued;
let two: Issued;
let device: Issued;
let broker: Mosquitto;

beforeAll(async () => {
  root = createAuthority('root');
  one = root.issue({ cn: 'one.test', names: 'DNS:one.test,IP:127.0.0.1' });
  two = root.issue({ cn: 'two.test', names: 'DNS:two.test' });
  device = root.issue({ cn: 'meter-7' });
  broker = await startMosquitto({ config: 'log_type subscribe' });
});

/** By renaming, as whoever renews certificates does. */
function replace(file: string, pem: string): void {
  writeFileSync(`${file}.new`, pem);
  renameSync(`${file}.new`, file);
}

describe.each([fastestEngine, 'node'])('TLS on the %s engine', (engine) => {
  /** Two brokers for the one test that kills one of them. */
  let mortals: [Mosquitto, Mosquitto];
  let proxy: Breakwater;
  const folder = temporaryDirectory();
  /** What tests replace. */
  const files = {
    cert: join(folder, 'tls.crt'),
    key: join(folder, 'tls.key'),
    crl: join(folder, 'devices.crl'),
  };
  const listeners = ['named', 'renewed', 'revoking', 'mortal'] as const;
  const portOf = (name: (typeof listeners)[number]) => proxy.ports[listeners.indexOf(name)] as number;

  beforeAll(async () => {
    mortals = await Promise.all([startMosquitto(), startMosquitto()]);
    replace(files.cert, one.cert);
    replace(files.key, one.key);
    replace(files.crl, root.crl([]));
    const shown = { cert: one.certFile, key: one.keyFile };
    const asking = { ...shown, clientCa: root.certFile };
    const certificates = [{ cert: two.certFile, key: two.keyFile }];
    const url = 'mqtts://127.0.0.1:0';
    proxy = await startBreakwater({
      proxy: { engine, threads: engine !== 'node' ? 2 : 'auto' },
      listeners: [
        { url, tls: { ...asking, clientAuth: 'request', certificates } },
        { url, tls: { cert: files.cert, key: files.key } },
        { url, tls: { ...asking, clientAuth: 'require', crl: files.crl } },
        { url, pool: 'mortal', tls: shown },
      ],
      pools: {
        default: { nodes: [{ url: broker.url }] },
        mortal: { strategy: 'round-robin', nodes: mortals.map(({ url }) => ({ url })) },
      },
      rules: [
        { when: { clientCn: '^stolen-' }, reject: 'banned' },
        { when: { sni: '^two\\.test$' }, mode: 'relay' },
      ],
    });
  });

  /** What `openssl s_client` says of one handshake. */
  async function handshake(...args: string[]): Promise<string> {
    const client = [
      's_client',
      '-connect',
      `127.0.0.1:${portOf('named')}`,
      '-CAfile',
      root.certFile,
      '-verify_return_error',
    ];
    const running = execute('openssl', [...client, ...args]);
    running.child.stdin?.end();
    const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error);
    return stdout + stderr;
  }

  it.each(['-tls1_2', '-tls1_3'])('shakes hands with openssl s_client %s, ALPN and SNI', async (version) => {
    const plain = await handshake(version);
    expect(plain).toContain('CN = one.test');
    expect(plain).toContain('Verify return code: 0 (ok)');
    expect(plain).toContain('No ALPN negotiated');
    const named = await handshake(version, '-servername', 'two.test', '-alpn', 'mqtt');
    expect(named).toContain('CN = two.test');
    expect(named).toContain('ALPN protocol: mqtt');
    expect(await handshake(version, '-alpn', 'h2')).toContain('alert no application protocol');
  });

  it('refuses TLS 1.1', async () => {
    expect(await handshake('-tls1_1', '-cipher', 'ALL@SECLEVEL=0')).toContain('alert protocol version');
  });

  it('resumes a session, at whatever thread', async () => {
    const file = join(temporaryDirectory(), 'session');
    await handshake('-tls1_2', '-sess_out', file);
    await until(() => existsSync(file), 'the session');
    for (let time = 0; time < 6; time++)
      expect(await handshake('-tls1_2', '-sess_in', file)).toContain('Reused, TLSv1.2');
  });

  it.each(['mqttv311', 'mqttv5'])('carries mosquitto_pub and mosquitto_sub with %s', async (version) => {
    const payload = `hello-${engine}-${version}`;
    const ca = [
      '-h',
      '127.0.0.1',
      '-p',
      `${portOf('named')}`,
      '-V',
      version,
      '--cafile',
      root.certFile,
      '-q',
      '1',
    ];
    const certificate = ['--cert', device.certFile, '--key', device.keyFile];
    const received = execute('mosquitto_sub', [...ca, ...certificate, '-t', payload, '-C', '1', '-W', '20']);
    await until(() => broker.output().includes(` ${payload}`), 'the subscription');
    await execute('mosquitto_pub', [...ca, '-t', payload, '-m', payload]);
    expect((await received).stdout.trim()).toBe(payload);
  });

  it('refuses a certificate of an authority that it does not know', async () => {
    const stranger = createAuthority('stranger').issue({ cn: 'meter-7' });
    const ca = [
      '-h',
      '127.0.0.1',
      '-p',
      `${portOf('named')}`,
      '--cafile',
      root.certFile,
      '-t',
      'a',
      '-m',
      'a',
    ];
    const sent = execute('mosquitto_pub', [...ca, '--cert', stranger.certFile, '--key', stranger.keyFile]);
    await expect(sent).rejects.toThrow();
  });

  it('routes by server name and certificate, and shows both', async () => {
    const stolen = root.issue({ cn: 'stolen-1' });
    const options = (cn: Issued, servername: string) => ({
      ...{ host: '127.0.0.1', port: portOf('named'), protocol: 'mqtts' as const, ca: root.cert, servername },
      ...{ cert: cn.cert, key: cn.key, clientId: `routed-${engine}`, reconnectPeriod: 0 },
    });
    await expect(connectAsync(options(stolen, 'one.test'))).rejects.toThrow('Not authorized');
    const client = await connectAsync(options(device, 'two.test'));
    expect(await proxy.api(`clients/routed-${engine}`)).toMatchObject({
      mode: 'relay',
      tls: {
        version: 'TLSv1.3',
        cipher: expect.stringMatching(/^TLS_/),
        sni: 'two.test',
        clientCn: 'meter-7',
      },
    });
    const { stdout } = await run(['client', 'inspect', `routed-${engine}`, '--admin', proxy.adminUrl]);
    expect(stdout).toMatch(/^tls +TLSv1\.3 TLS_\w+$/m);
    expect(stdout).toMatch(/^clientCn +meter-7$/m);
    await client.endAsync();
  });

  it('answers what is no TLS with an end, and goes on', async () => {
    for (const garbage of [
      Buffer.from('\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00'),
      Buffer.alloc(5000, 0x16),
    ]) {
      const socket = connect(portOf('named'), '127.0.0.1').on('error', () => undefined);
      socket.write(garbage);
      socket.resume();
      await new Promise((ended) => socket.on('close', ended));
    }
    expect(await handshake()).toContain('Verify return code: 0 (ok)');
  });

  it('takes files that change, also on SIGHUP, bad ones not, and drops no device', async () => {
    const write = ({ cert, key }: Issued): void => {
      replace(files.cert, cert);
      replace(files.key, key);
    };
    const tls = { host: '127.0.0.1', port: portOf('renewed'), ca: root.cert, rejectUnauthorized: false };
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls(tls, () => {
          resolve(socket.getPeerCertificate().subject.CN as string);
          socket.destroy();
        }).on('error', reject);
      });
    const devices = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        connectAsync({ ...tls, protocol: 'mqtts', clientId: `stays-${index}`, reconnectPeriod: 0 }),
      ),
    );
    let dropped = 0;
    for (const each of devices) each.on('close', () => dropped++);

    expect(await shown()).toBe('one.test');
    write(two);
    await until(async () => (await shown()) === 'two.test', 'the new certificate');
    writeFileSync(files.cert, 'no certificate');
    proxy.kill('SIGHUP');
    await until(() => proxy.logs().some(({ msg }) => msg.startsWith('TLS file is bad')), 'the complaint');
    expect(await shown()).toBe('two.test');
    write(one);
    proxy.kill('SIGHUP');
    for (let thread = 0; thread < 4; thread++)
      await until(async () => (await shown()) === 'one.test', 'the first certificate again');

    await Promise.all(devices.map((each) => each.publishAsync('still', 'here', { qos: 1 })));
    expect(dropped).toBe(0);
    await Promise.all(devices.map((each) => each.endAsync()));
  });

  it('takes revocation lists that change, and one that has expired is said in the log and by status', async () => {
    const write = (pem: string): void => replace(files.crl, pem);
    const port = portOf('revoking');
    const tls = { host: '127.0.0.1', port, ca: root.cert, cert: device.cert, key: device.key };
    /** Whether a device is answered its CONNECT. */
    const isIn = () =>
      new Promise<boolean>((resolve) => {
        const socket = connectTls(tls, () => socket.write(connectBytes('asks')));
        socket.on('data', () => resolve(true)).on('close', () => resolve(false));
        socket.on('error', () => undefined).once('data', () => socket.destroy());
      });
    const stays = await connectAsync({ ...tls, protocol: 'mqtts', clientId: 'stays', reconnectPeriod: 0 });
    const crls = async () => (await proxy.api<StatusView>('status')).crls.map(({ state }) => state);
    expect([await isIn(), await crls()]).toEqual([true, ['valid']]);
    write(root.crl([device]));
    await until(async () => !(await isIn()), 'the device to be refused');
    write(root.crl([]));
    await until(isIn, 'the device to be let in again');
    write(root.crl([], -1));
    await until(async () => (await crls())[0] === 'expired', 'the list to have expired');
    await until(async () => !(await isIn()), 'the device to be refused');
    await until(
      () => proxy.logs().some(({ msg }) => msg.startsWith('a revocation list has expired')),
      'the log',
    );
    const { stdout } = await run(['status', '--admin', proxy.adminUrl]);
    expect(stdout).toMatch(
      /^! the revocation list of O=Test, CN=root at mqtts:.* has expired at .*: no device with a certificate/m,
    );
    expect(stays.connected).toBe(true);
    await stays.endAsync();
  });

  it('carries sessions, which outlive the SIGKILL of their broker', async () => {
    const received = new Set<string>();
    let dropped = 0;
    const devices = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const options = { protocolVersion: index % 2 === 0 ? 4 : 5, clientId: `lives-${index}` } as const;
        const port = portOf('mortal');
        const tls = {
          host: '127.0.0.1',
          port,
          protocol: 'mqtts' as const,
          ca: root.cert,
          reconnectPeriod: 0,
        };
        const client = await connectAsync({ ...tls, ...options });
        client.on('close', () => dropped++);
        client.on('message', () => received.add(options.clientId));
        await client.subscribeAsync('news', { qos: 1 });
        return client;
      }),
    );
    mortals[0].kill('SIGKILL');
    await until(() => mortals[1].clients().length === 10, 'all devices at the other broker');
    await until(async () => {
      await devices[0]?.publishAsync('news', 'all are well', { qos: 1 }); // some may still subscribe there
      return received.size === 10;
    }, 'the message at every device');
    expect(dropped).toBe(0);
    await Promise.all(devices.map((each) => each.endAsync()));
  });
});

it('is checked by `breakwater check`: every file, all at once', async () => {
  const file = join(temporaryDirectory(), 'breakwater.yaml');
  const tls = {
    cert: 'missing.crt',
    key: one.keyFile,
    certificates: [{ cert: one.certFile, key: two.keyFile }],
  };
  writeFileSync(file, JSON.stringify({ listeners: [{ url: 'mqtts://127.0.0.1:0', tls }] }));
  const { code, stderr } = await run(['check', '-c', file]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/2 problems\n.*listeners\[0\]\.tls\.cert: cannot read .*missing.crt: there is no/);
  expect(stderr).toContain('listeners[0].tls.certificates[0].key: ');
});
