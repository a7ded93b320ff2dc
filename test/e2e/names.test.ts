import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { type Breakwater, type LogLine, startBreakwater } from '../support/breakwater.ts';
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

  /** Of a broker in this process. */
  async function brokerAt(host: string): Promise<number> {
    const [broker] = await startAedes(1, undefined, host);
    return Number(new URL(broker?.url ?? '').port);
  }

  describe.each(['epoll', 'node'] as const)('the %s engine', (engine) => {
    const late = `late-${engine}.test`;
    const mqtt = 'mqtt://127.0.0.1:0';
    let proxy: Breakwater;

    /** A pool with a broker at this address only, whose name has both, and a listener of each mode for it. */
    async function named(pool: string, host: string) {
      const port = await brokerAt(host);
      const nodes = [{ id: pool, url: `mqtt://both.test:${port}` }];
      return {
        port,
        listeners: ['session', 'relay'].map((mode) => ({ url: mqtt, mode, pool })),
        pools: { [pool]: { health: { probe: 'mqtt', interval: 2 }, nodes } },
      };
    }
    let four: Awaited<ReturnType<typeof named>>;
    let six: Awaited<ReturnType<typeof named>>;

    beforeAll(async () => {
      dns.mood = 'well';
      [four, six] = await Promise.all([named('four', '127.0.0.1'), named('six', '::1')]);
      const web = createHttp((_request, response) => response.end('here')).listen(0, '::1');
      await once(web, 'listening');
      atEnd(() => web.close());
      const webUrl = `http://both.test:${(web.address() as AddressInfo).port}`;
      const lateUrl = `mqtt://${late}:${await brokerAt('127.0.0.1')}`;
      proxy = await startBreakwater(
        {
          proxy: { engine },
          listeners: [
            ...four.listeners,
            ...six.listeners,
            { url: mqtt, pool: 'late' },
            { url: 'http://127.0.0.1:0', pool: 'web' },
          ],
          pools: {
            ...{ ...four.pools, ...six.pools },
            late: { nodes: [{ id: 'late', url: lateUrl }] },
            web: { nodes: [{ url: webUrl }] },
          },
        },
        [],
        {},
        wrap,
      );
    });
    // Its questions are not to be taken for those of another.
    afterAll(async () => {
      proxy.kill('SIGKILL');
      await proxy.exited;
    });

    test.each([
      ['127.0.0.1', 'four', 0],
      ['::1', 'six', 2],
    ] as const)('serves by a broker at %s only, whose name has both addresses', async (_host, id, first) => {
      for (const each of proxy.ports.slice(first, first + 2))
        expect((await connectDevice(each, `d${each}`)).code).toBe(0);
      const node = () => proxy.api<{ health: string; address: string }>(`nodes/${id}`);
      await until(async () => (await node()).health === 'healthy', 'a probe');
      const { port } = id === 'four' ? four : six;
      expect((await node()).address).toBe(`127.0.0.1:${port}, [::1]:${port}`);
      const unhealthy = proxy.logs().filter(({ msg, node: of }) => msg === 'node unhealthy' && of === id);
      expect(unhealthy).toEqual([]);
    });

    test('an HTTP node is reached at whichever address answers', async () => {
      for (let i = 0; i < 2; i++)
        expect(await (await fetch(`http://127.0.0.1:${proxy.ports[5]}/`)).text()).toBe('here');
    });

    test('a name that gets an address is dialled, and keeps it when the server falls silent', async () => {
      const port = proxy.ports[4] as number;
      expect((await connectDevice(port, 'early')).code).toBe(3);
      dns.zone = { [`A ${late}`]: ['127.0.0.1'] };
      const node = () => proxy.api<{ address?: string }>('nodes/late');
      await until(async () => (await node()).address !== undefined, 'the address');
      expect((await connectDevice(port, 'later')).code).toBe(0);
      dns.mood = 'silent';
      const asked = dns.questions;
      await until(() => dns.questions > asked, 'the next look');
      expect((await connectDevice(port, 'latest')).code).toBe(0);
    });
  });

  /** The time between two lines of the log, in ms. */
  function between(lines: readonly LogLine[], first: string, second: string): number {
    const at = (wanted: string) => Date.parse(String(lines.find(({ msg }) => msg === wanted)?.time));
    return at(second) - at(first);
  }

  test('a DNS server that is silent delays neither the start nor the stop, and no device of a node that is known', async () => {
    dns.mood = 'silent';
    const before = dns.questions;
    const known = {
      id: 'known',
      url: `mqtt://four.test:${await brokerAt('127.0.0.1')}`,
      probeUrl: 'http://status.test:8080/',
    };
    const nodes = Array.from({ length: 12 }, (_, i) => ({ id: `n${i}`, url: `mqtt://n${i}.test:1883` }));
    const discovery = [
      { dns: 'found.test' },
      { dns: '_mqtt._tcp.test', srv: true },
      { emqx: 'http://api.test:1', key: 'k', secret: 's' },
    ];
    const proxy = await startBreakwater(
      {
        listeners: [{ url: 'mqtt://127.0.0.1:0' }, { url: 'http://127.0.0.1:0', pool: 'web' }],
        pools: {
          default: { nodes: [known, ...nodes], discovery, health: { interval: 2, timeout: 5 } },
          web: { nodes: [{ url: 'http://web.test' }] },
        },
        membership: { store: 'redis', url: 'redis://redis.test:6379' },
      },
      [],
      {},
      wrap,
    );
    expect(between(proxy.logs(), 'starting', 'listening')).toBeLessThan(patience(15_000));
    const device = await connectDevice(proxy.port, 'a');
    expect(device.code).toBe(0);
    const unrouted = () => proxy.logs().filter(({ msg }) => msg === 'node takes no devices');
    await until(() => unrouted().length === nodes.length + 1, 'unresolved nodes to be told');
    expect(unrouted()[0]?.error).toMatch(/^\S+\.test does not resolve \(\w+\)$/);
    await until(() => dns.questions > before, 'the DNS server to be asked');

    device.socket.destroy();
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
