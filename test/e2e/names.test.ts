import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type LogLine, startBreakwater } from '../support/breakwater.ts';
import { connectDevice } from '../support/devices.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { mountFault, withFiles } from '../support/mounts.ts';
import { atEnd, temporaryDirectory } from '../support/process.ts';
import { patience, until } from '../support/wait.ts';

/** Names of nodes, with a hosts file and a DNS server of our own: those of the system are laid over for one process. */
describe.skipIf(mountFault() !== undefined)('names', () => {
  const folder = temporaryDirectory();
  const hosts = join(folder, 'hosts');
  const resolvConf = join(folder, 'resolv.conf');
  const wrap = withFiles({ '/etc/hosts': hosts, '/etc/resolv.conf': resolvConf });
  let dns: Awaited<ReturnType<typeof startDnsServer>>;

  beforeAll(async () => {
    writeFileSync(
      hosts,
      '127.0.0.1 localhost\n::1 localhost both.test\n127.0.0.1 both.test\n127.0.0.1 four.test\n',
    );
    dns = await startDnsServer({}, { host: '127.0.0.77', port: 53 });
    atEnd(dns.stop);
    writeFileSync(resolvConf, 'nameserver 127.0.0.77\n');
  });

  const port = (url = ''): number => Number(new URL(url).port);

  describe.each(['epoll', 'node'] as const)('the %s engine', (engine) => {
    test.each([
      '127.0.0.1',
      '::1',
    ])('serves by a broker at %s only, whose name has both addresses', async (host) => {
      const [broker] = await startAedes(1, undefined, host);
      const proxy = await startBreakwater(
        {
          proxy: { engine },
          listeners: [
            { url: 'mqtt://127.0.0.1:0', mode: 'session' },
            { url: 'mqtt://127.0.0.1:0', mode: 'relay' },
          ],
          pools: {
            default: {
              health: { probe: 'mqtt', interval: 2 },
              nodes: [{ id: 'named', url: `mqtt://both.test:${port(broker?.url)}` }],
            },
          },
        },
        [],
        {},
        wrap,
      );
      for (const each of proxy.ports) expect((await connectDevice(each, `d${each}`)).code).toBe(0);
      const node = () => proxy.api<{ health: string; address: string }>('nodes/named');
      await until(async () => (await node()).health === 'healthy', 'a probe');
      expect((await node()).address).toBe(`127.0.0.1:${port(broker?.url)}, [::1]:${port(broker?.url)}`);
      expect(proxy.logs().filter(({ msg }) => msg === 'node unhealthy')).toEqual([]);
    });
  });

  test('an HTTP node is reached at whichever address answers', async () => {
    const server = createHttp((_request, response) => response.end('here')).listen(0, '::1');
    await once(server, 'listening');
    atEnd(() => server.close());
    const nodes = [{ url: `http://both.test:${(server.address() as AddressInfo).port}` }];
    const proxy = await startBreakwater(
      { listeners: [{ url: 'http://127.0.0.1:0', pool: 'web' }], pools: { default: {}, web: { nodes } } },
      [],
      {},
      wrap,
    );
    for (let i = 0; i < 2; i++)
      expect(await (await fetch(`http://127.0.0.1:${proxy.port}/`)).text()).toBe('here');
  });

  /** The time between two lines of the log, in ms. */
  function between(lines: readonly LogLine[], first: string, second: string): number {
    const at = (wanted: string) => Date.parse(String(lines.find(({ msg }) => msg === wanted)?.time));
    return at(second) - at(first);
  }

  describe('a DNS server that is silent', () => {
    const nodes = Array.from({ length: 12 }, (_, i) => ({ id: `n${i}`, url: `mqtt://n${i}.test:1883` }));
    const discovery = [
      { dns: 'found.test' },
      { dns: '_mqtt._tcp.test', srv: true },
      { emqx: 'http://api.test:1', key: 'k', secret: 's' },
    ];

    async function started(membership = {}) {
      dns.mood = 'silent';
      const [broker] = await startAedes(1);
      const known = {
        id: 'known',
        url: `mqtt://four.test:${port(broker?.url)}`,
        probeUrl: 'http://status.test:8080/',
      };
      return startBreakwater(
        {
          listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'http://127.0.0.1:0', pool: 'web' }],
          pools: {
            default: { nodes: [known, ...nodes], discovery, health: { interval: 2, timeout: 5 } },
            web: { nodes: [{ url: 'http://web.test' }] },
          },
          membership,
        },
        [],
        {},
        wrap,
      );
    }

    test('delays neither the start nor the stop, and no device of a node that is known', async () => {
      const proxy = await started();
      expect(between(proxy.logs(), 'starting', 'listening')).toBeLessThan(patience(15_000));
      expect((await connectDevice(proxy.port, 'a')).code).toBe(0);
      const unrouted = () => proxy.logs().filter(({ msg }) => msg === 'node takes no devices');
      await until(() => unrouted().length === nodes.length + 1, 'unresolved nodes to be told');
      expect(unrouted()[0]?.error).toMatch(/^\S+\.test does not resolve \(\w+\)$/);
      await until(() => dns.questions > 0, 'the DNS server to be asked');
    });

    test('does not keep a stopped proxy from ending', async () => {
      const proxy = await started({ store: 'redis', url: 'redis://redis.test:6379' });
      proxy.kill('SIGTERM');
      await until(() => proxy.logs().some(({ msg }) => msg === 'stopped'), 'the end of the grace');
      let code: number | string | undefined;
      void proxy.exited.then((ended) => {
        code = ended;
      });
      await until(() => code !== undefined, 'the end of the process', 8_000);
      expect(code).toBe(0);
    });
  });

  test('a name that gets an address is dialled, and keeps it when the server falls silent', async () => {
    dns.mood = 'well';
    const [broker] = await startAedes(1);
    const proxy = await startBreakwater(
      { pools: { default: { nodes: [{ id: 'late', url: `mqtt://late.test:${port(broker?.url)}` }] } } },
      [],
      {},
      wrap,
    );
    expect((await connectDevice(proxy.port, 'early')).code).toBe(3);
    dns.zone = { 'A late.test': ['127.0.0.1'] };
    const node = () => proxy.api<{ address?: string }>('nodes/late');
    await until(async () => (await node()).address !== undefined, 'the address');
    expect((await connectDevice(proxy.port, 'later')).code).toBe(0);
    dns.mood = 'silent';
    const asked = dns.questions;
    await until(() => dns.questions > asked, 'the next look');
    expect((await connectDevice(proxy.port, 'latest')).code).toBe(0);
  });
});
