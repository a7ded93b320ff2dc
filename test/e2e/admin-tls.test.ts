import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { main, run } from '../support/cli.ts';
import { start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** The admin address with TLS, as people and files meet it: the command line, certificates that are replaced, reloads. */

const servers = createAuthority('servers');
const people = createAuthority('people');
const issueServer = () => servers.issue({ cn: 'admin', names: 'IP:127.0.0.1' });
const alice = people.issue({ cn: 'alice' });
const folder = temporaryDirectory();
const certFile = join(folder, 'admin.crt');
const keyFile = join(folder, 'admin.key');

/** As such files are replaced: a new one is renamed over the old one. */
function install({ certFile: cert, keyFile: key }: Issued): void {
  for (const [from, to] of [
    [key, keyFile],
    [cert, certFile],
  ] as const) {
    copyFileSync(from, `${to}.new`);
    renameSync(`${to}.new`, to);
  }
}

const configOf = (clients: readonly object[]) => ({
  admin: {
    url: 'https://127.0.0.1:0',
    tokens: [{ name: 'prometheus', role: 'viewer', token: 'v1ewer' }],
    tls: { cert: certFile, key: keyFile, clientCa: people.certFile, clients },
  },
});

async function serialAt(url: string): Promise<string | undefined> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ca: servers.cert });
  await once(socket, 'secureConnect');
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
}

test('the command line shows a certificate, files are taken when they change, and a reload changes roles', async () => {
  install(issueServer());
  const breakwater = await startBreakwater(configOf([{ cn: 'alice', role: 'operator' }]));
  const { adminUrl, logs, rewrite, kill } = breakwater;
  const token = { BREAKWATER_TOKEN: '' };
  const flags = ['--admin', adminUrl, '--cacert', servers.certFile];
  const own = ['--cert', alice.certFile, '--key', alice.keyFile];

  const list = await run(['node', 'list', ...flags, ...own], token);
  expect(list).toMatchObject({ code: 0, stderr: '' });
  const variables = {
    BREAKWATER_CACERT: servers.certFile,
    BREAKWATER_CERT: alice.certFile,
    BREAKWATER_KEY: alice.keyFile,
  };
  const byEnvironment = await run(['status', '--json', '--admin', adminUrl], { ...token, ...variables });
  expect(JSON.parse(byEnvironment.stdout).certificates).toMatchObject([{ listener: 'https://127.0.0.1:0' }]);
  expect(await run(['node', 'list', '--admin', adminUrl], token)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--cacert FILE names the authority of its certificate'),
  });
  expect(await run(['node', 'list', ...flags], token)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the token is missing'),
  });
  expect(await run(['node', 'list', ...flags, '--token', 'v1ewer'])).toMatchObject({ code: 0 });
  expect(await run(['node', 'list', ...flags, '--cert', alice.certFile], token)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--cert and --key belong together'),
  });
  const add = ['node', 'add', 'mqtt://127.0.0.1:1', ...flags, ...own];
  expect(await run(add, token)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('alice has the role operator; this needs the role admin'),
  });
  expect(logs().find(({ status }) => status === 403)).toMatchObject({
    msg: 'admin request',
    by: 'alice',
    code: 'FORBIDDEN',
  });

  const told = await run(['events', ...flags, ...own], token);
  expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('by=alice') });
  const follower = start(
    process.execPath,
    [main, 'events', '--follow', '--since', '1h', ...flags, ...own],
    token,
  );
  await until(() => follower.output().includes('by=alice'), 'what is kept to be told by the stream');
  await follower.stop();

  const next = issueServer();
  install(next);
  const { serialNumber } = new X509Certificate(next.cert);
  await until(async () => (await serialAt(adminUrl)) === serialNumber, 'the new certificate to be shown');
  writeFileSync(certFile, 'nothing of the kind');
  await until(
    () => logs().some(({ msg }) => msg === 'TLS file is bad; the former one stays'),
    'the log to say that a file is bad',
  );
  expect(await serialAt(adminUrl)).toBe(serialNumber);

  rewrite(configOf([{ cn: 'alice', role: 'admin' }]));
  kill('SIGHUP');
  const refused = await until(
    () => logs().find(({ msg }) => msg === 'configuration is wrong'),
    'the reload to be refused',
  );
  expect(String(refused.problem)).toContain('admin.tls.cert');
  install(next);
  kill('SIGHUP');
  await until(() => logs().some(({ msg }) => msg === 'reloaded'), 'the reload');
  expect(await run(add, token)).toMatchObject({ code: 0 });
});
