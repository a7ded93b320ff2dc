import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createResolve, type ResolveOptions } from '../../src/membership/discovery/resolve.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';

let dns: Awaited<ReturnType<typeof startDnsServer>>;
beforeAll(async () => {
  dns = await startDnsServer({});
  atEnd(dns.stop);
});
beforeEach(() => {
  dns.mood = 'well';
  dns.zone = {
    'A emqx.test': ['10.0.0.1', '10.0.0.2'],
    'AAAA emqx.test': ['fd00:0:0:0:0:0:0:1'],
    'AAAA six.test': ['fd00:0:0:0:0:0:0:6'],
    'A emqx.broker.svc.cluster.local': ['10.1.0.1'],
  };
});

const never = () => Promise.reject(Object.assign(new Error('not known'), { code: 'ENOTFOUND' }));

/** Resolves with these files, asking our DNS server. */
function resolve(
  host: string,
  files: { hosts?: string; resolv?: string } = {},
  options: ResolveOptions = {},
) {
  const folder = temporaryDirectory();
  const [hostsFile, resolvConf] = [join(folder, 'hosts'), join(folder, 'resolv.conf')];
  writeFileSync(hostsFile, files.hosts ?? '');
  writeFileSync(resolvConf, files.resolv ?? '');
  const servers = [dns.address];
  return createResolve({ hostsFile, resolvConf, servers, askSystem: never, ...options })(host);
}

test('every address of a name, those of IPv4 first', async () => {
  expect(await resolve('emqx.test')).toEqual(['10.0.0.1', '10.0.0.2', 'fd00::1']);
  expect(await resolve('six.test')).toEqual(['fd00::6']);
  expect(await resolve('EMQX.test.')).toHaveLength(3);
});

test('an address is itself', async () => {
  expect(await resolve('fd00::7')).toEqual(['fd00::7']);
});

test('the hosts file goes before DNS', async () => {
  const hosts = '127.0.0.1 localhost\n::1 other emqx.test # comment\n10.9.0.1\temqx.test\n';
  expect(await resolve('emqx.test', { hosts })).toEqual(['10.9.0.1', '::1']);
  expect(await resolve('localhost', { hosts })).toEqual(['127.0.0.1']);
  expect(await resolve('localhost')).toEqual(['127.0.0.1', '::1']);
});

describe('short names are completed', () => {
  const resolv = 'search broker.svc.cluster.local svc.cluster.local\noptions timeout:1 ndots:5\n';

  test('by the search domains', async () => {
    expect(await resolve('emqx', { resolv })).toEqual(['10.1.0.1']);
  });

  test('and asked for as they are in the end', async () => {
    expect(await resolve('six.test', { resolv })).toEqual(['fd00::6']);
  });
});

test('a server that answers for one family only is not waited for long', async () => {
  dns.zone = { 'A half.test': ['10.0.0.1'] };
  dns.ignored = 'AAAA';
  expect(await resolve('half.test')).toEqual(['10.0.0.1']);
  dns.ignored = undefined;
});

describe('a name that does not resolve', () => {
  test('is said with the reason', async () => {
    await expect(resolve('nowhere.test')).rejects.toMatchObject({
      code: 'NAME_UNRESOLVED',
      message: 'nowhere.test does not resolve (ENOTFOUND)',
    });
  });

  test('is asked of the system where DNS does not know it', async () => {
    const askSystem = async () => ['10.0.0.9'];
    expect(await resolve('printer.local', {}, { askSystem })).toEqual(['10.0.0.9']);
  });

  test.each([
    'silent',
    'failing',
  ] as const)('is given up soon where the server is %s, and not asked of the system', async (mood) => {
    dns.mood = mood;
    const asked: string[] = [];
    const askSystem = async (host: string) => {
      asked.push(host);
      return ['10.0.0.9'];
    };
    const outcome = await resolve('emqx.test', {}, { askSystem, timeoutMs: 500 }).catch(
      (error: Error) => error.message,
    );
    expect(outcome).toMatch(/^emqx\.test does not resolve \((ETIMEOUT|ESERVFAIL|ECANCELLED)\)$/);
    expect(asked).toEqual([]);
  });
});
