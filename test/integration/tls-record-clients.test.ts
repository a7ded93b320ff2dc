import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, type Issued, tlsOptions } from '../support/certificates.ts';
import { type EngineUnderTest, startEngine } from '../support/engine-under-test.ts';
import { until } from '../support/wait.ts';

/** Records that are our own, as clients of other libraries see them: OpenSSL, GnuTLS and wolfSSL. */

let engine: EngineUnderTest;
let node: Server;
let ca: string;
let certificate: Issued;
let port: number;
/** Of a listener that wants certificates. */
let strictPort: number;
/** Of a listener that knows no AEAD. */
let cbcPort: number;
let device: Issued;
const CBC = 'ECDHE-ECDSA-AES128-SHA256';
const sockets: Socket[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  const root = createAuthority('root');
  ca = root.certFile;
  device = root.issue({ cn: 'device-with-a-long-name-so-that-its-ticket-is-long' });
  certificate = root.issue({ cn: 'one.test', names: 'DNS:one.test,IP:127.0.0.1' });
  node = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined).pipe(socket);
  });
  await new Promise<void>((done) => node.listen(0, '127.0.0.1', done));
  engine = await startEngine({ engine: 'epoll', highWaterBytes: 65_536 });
  const target = {
    slot: 0,
    nodeId: 'n1',
    host: '127.0.0.1',
    port: (node.address() as { port: number }).port,
  };
  await engine.script('relay', target);
  const tls = tlsOptions([certificate], { alpn: [] });
  ({ port } = await engine.listen('127.0.0.1', 0, 1, tls));
  const strict = { ...tls, clientAuth: 'require', clientCa: root.cert } as const;
  ({ port: strictPort } = await engine.listen('127.0.0.1', 0, 2, strict));
  ({ port: cbcPort } = await engine.listen('127.0.0.1', 0, 3, { ...tls, ciphers: CBC }));
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const socket of sockets) socket.destroy();
  node.close();
  expect(engine.faults).toEqual([]);
  await engine.stop();
});

/** A client whose standard input is what it sends, and whose output is what it has got, between other words. */
function client(command: string, args: readonly string[]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  let ended = false;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1');
    });
  child.on('close', () => {
    ended = true;
  });
  child.stdin.on('error', () => undefined);
  return {
    say: (text: string) => void child.stdin.write(`${text}\n`),
    end: () => void child.stdin.end(),
    heard: (text: string, times = 1) =>
      until(() => {
        const isHeard = output.split(text).length > times;
        if (ended && !isHeard) throw new Error(`it has ended, and said:\n${output}`);
        return isHeard;
      }, `${text} from ${command}`),
    ended: () => until(() => ended && output, `the end of ${command}`),
  };
}

const openssl = (...args: readonly string[]) => opensslTo(port, ...args);
const opensslTo = (to: number, ...args: readonly string[]) =>
  client('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${to}`,
    '-CAfile',
    ca,
    '-verify_return_error',
    ...args,
  ]);

/** More than one record, in one line. */
const LONG = 'x'.repeat(9000);

describe('OpenSSL', () => {
  test.each([
    ['TLSv1.3', ['-ciphersuites', 'TLS_AES_128_GCM_SHA256']],
    ['TLSv1.3', ['-ciphersuites', 'TLS_AES_256_GCM_SHA384']],
    ['TLSv1.3', ['-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256']],
    ['TLSv1.2', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256']],
    ['TLSv1.2', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384']],
    ['TLSv1.2', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305']],
  ])('%s with %s says things and hears them, and changes keys where it can', async (version, args) => {
    const device = openssl(...args);
    await device.heard('Verify return code: 0');
    device.say('first words');
    await device.heard('first words');
    if (version === 'TLSv1.3') {
      device.say('K'); // changes its key, and asks for another of ours
      await device.heard('KEYUPDATE');
      device.say('behind it');
      await device.heard('behind it');
      device.say('k'); // changes its key only; what comes with the command is lost
      await device.heard('KEYUPDATE', 2);
      device.say('behind another');
      await device.heard('behind another');
    }
    device.say(`${LONG}end of it`);
    await device.heard('end of it');
    device.end();
    await device.ended();
  });

  test('of TLS 1.2 is refused when it wants to shake hands again', async () => {
    const device = openssl('-tls1_2');
    await device.heard('Verify return code: 0');
    device.say('R');
    expect(await device.ended()).toContain('no renegotiation');
  });

  test.each(['-tls1_2', '-tls1_3'])('%s gets no longer records than it has asked for', async (version) => {
    const device = openssl(version, '-maxfraglen', '512');
    await device.heard('Verify return code: 0');
    device.say(`${LONG}end of it`);
    await device.heard('end of it');
  });

  test('whose ticket takes several records, because its certificate is in it, hears the records behind it', async () => {
    const files = ['-cert', device.certFile, '-key', device.keyFile];
    const connection = opensslTo(strictPort, '-tls1_3', '-maxfraglen', '512', ...files);
    await connection.heard('Verify return code: 0');
    connection.say(`${LONG}end of it`);
    await connection.heard('end of it');
  });

  test('that changes its key over and over, and says nothing, is cut off', async () => {
    const device = openssl('-tls1_3');
    await device.heard('Verify return code: 0');
    for (let round = 1; round <= 33; round++) {
      device.say('k');
      await device.heard('KEYUPDATE', round);
    }
    expect(await device.ended()).toContain('unexpected message');
  });
});

describe('GnuTLS', () => {
  test.each([
    ['TLS1.3', 'AES-128-GCM'],
    ['TLS1.3', 'AES-256-GCM'],
    ['TLS1.3', 'CHACHA20-POLY1305'],
    ['TLS1.2', 'AES-128-GCM'],
    ['TLS1.2', 'AES-256-GCM'],
    ['TLS1.2', 'CHACHA20-POLY1305'],
  ])('%s with %s says things and hears them, and changes keys where it can', async (version, cipher) => {
    const priority = `NORMAL:-VERS-ALL:+VERS-${version}:-CIPHER-ALL:+${cipher}`;
    const device = client('gnutls-cli', [
      ...['--priority', priority, '--x509cafile', ca, '--verify-hostname', 'one.test', '--disable-sni'],
      ...['--inline-commands', '-p', `${port}`, '127.0.0.1'],
    ]);
    await device.heard('Handshake was completed');
    device.say('first words');
    await device.heard('first words');
    if (version === 'TLS1.3') {
      device.say('^rekey^');
      device.say('behind it');
      await device.heard('behind it');
    }
    device.say(`${LONG}end of it`);
    await device.heard('end of it');
    device.end();
    await device.ended();
  });
});

async function sessionOf(options: ConnectionOptions): Promise<Buffer | undefined> {
  const secure = connectTls(options);
  sockets.push(secure);
  await once(secure, 'secureConnect');
  return secure.getSession();
}

describe.each([
  ['TLSv1.2', 'TLSv1.2', undefined],
  ['TLSv1.3', 'TLSv1.3', undefined],
  ['a cipher whose records are left to OpenSSL', 'TLSv1.2', CBC],
] as const)('Node with %s', (_name, version, ciphers) => {
  test.each([
    'first words',
    'first words and the end',
  ])('may send its %s in one piece with the end of its handshake', async (what) => {
    const to = { port: ciphers === undefined ? port : cbcPort, host: '127.0.0.1' };
    const tls = { rejectUnauthorized: false, ciphers, minVersion: version, maxVersion: version };
    // The last word of a handshake of TLS 1.2 is the device's where it resumes a session.
    const session = version === 'TLSv1.2' ? await sessionOf({ ...to, ...tls }) : undefined;
    const raw = connect({ ...to, allowHalfOpen: true });
    sockets.push(raw);
    const held: Buffer[] = [];
    let isHolding = false;
    let isOver = false;
    const through = new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        if (isHolding) held.push(bytes);
        else raw.write(bytes);
        isHolding = !isOver; // behind the ClientHello
        done();
      },
    });
    raw.on('data', (bytes) => through.push(bytes));
    const secure = connectTls({ socket: through, session, host: to.host, ...tls }); // a session is of its host
    await once(secure, 'secureConnect');
    expect(secure.isSessionReused()).toBe(session !== undefined);
    secure.write('first words');
    await until(() => held.length > 1, 'the first words');
    isHolding = false;
    isOver = true;
    const isEnd = what.endsWith('end');
    const [back, ended] = [once(secure, 'data'), once(raw, 'end')];
    if (isEnd) raw.end(Buffer.concat(held));
    else raw.write(Buffer.concat(held));
    expect(String((await back)[0])).toBe('first words');
    if (isEnd) await ended;
    secure.destroy();
  });
});

test('wolfSSL says things and hears them, and changes its key thirty times', async () => {
  const device = client(process.execPath, ['test/support/wolfssl-client.mjs', `${port}`, '30']);
  const said = await device.ended();
  if (said.startsWith('no wolfSSL')) console.warn(said.trim());
  expect(said).toMatch(/^done: TLSv1.3|^no wolfSSL/m);
});

test('the clients are there', () => {
  for (const [command, packet] of [
    ['openssl', 'openssl'],
    ['gnutls-cli', 'gnutls-bin'],
  ] as const)
    expect(
      spawnSync(command, ['--version']).error,
      `install ${packet}: npm test does it as root`,
    ).toBeUndefined();
});
