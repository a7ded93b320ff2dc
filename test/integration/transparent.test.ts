import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { main } from '../support/cli.ts';
import { connectNamespaces, Namespace, namespaceFault } from '../support/namespaces.ts';
import { type Spawned, start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

/**
 * Three machines in network namespaces: a device, the proxy, and a node whose way to devices leads through the proxy.
 * The lines that the proxy's machine needs are those of docs/operations.md.
 */
const fault = namespaceFault();
if (fault !== undefined) console.warn(`transparent mode is not tested: ${fault}`);

const upstream = { transparent: true };

describe.skipIf(fault !== undefined)('transparent mode', () => {
  let device: Namespace;
  let proxy: Namespace;
  let node: Namespace;
  let broker: Spawned;
  let breakwater: Spawned;
  const directory = temporaryDirectory();

  beforeAll(async () => {
    device = new Namespace();
    proxy = new Namespace();
    node = new Namespace();
    connectNamespaces(
      [device, 'eth0', ['10.99.1.2/24', '10.99.1.3/24', 'fd99:1::2/64']],
      [proxy, 'eth0', ['10.99.1.1/24', 'fd99:1::1/64']],
    );
    connectNamespaces(
      [proxy, 'eth1', ['10.99.2.1/24', 'fd99:2::1/64']],
      [node, 'eth0', ['10.99.2.2/24', 'fd99:2::2/64']],
    );
    node.ip('route', 'add', 'default', 'via', '10.99.2.1');
    node.ip('-6', 'route', 'add', 'default', 'via', 'fd99:2::1');

    const conf = join(directory, 'mosquitto.conf');
    writeFileSync(conf, 'listener 1883\nallow_anonymous true\nlog_dest stderr\nlog_type all\nuser root\n');
    broker = node.start('mosquitto', '-c', conf);
    const yaml = join(directory, 'breakwater.yaml');
    const configuration = {
      proxy: { engine: 'epoll', threads: 1 },
      listeners: [{ url: 'mqtt://[::]:1883' }, { url: 'tcp://[::]:1884', pool: 'raw' }],
      pools: {
        default: {
          upstream,
          nodes: [{ url: 'mqtt://10.99.2.2:1883' }, { url: 'mqtt://[fd99:2::2]:1883' }],
        },
        raw: {
          upstream: { ...upstream, proxyProtocol: 'none' },
          nodes: [{ url: 'tcp://10.99.2.2:1883', id: 'raw' }],
        },
      },
    };
    writeFileSync(yaml, JSON.stringify(configuration));
    breakwater = proxy.start(process.execPath, main, 'start', '-c', yaml);
    await until(() => breakwater.output().includes('[::]:1884'), 'the proxy to listen');
  });

  afterEach(() => {
    for (const family of ['-4', '-6']) {
      try {
        proxy.ip(family, 'rule', 'del', 'lookup', '100');
      } catch {} // there was none
    }
    execFileSync('ip', ['netns', 'exec', proxy.name, 'nft', 'flush', 'ruleset'], { stdio: 'pipe' });
  });

  /** What nodes answer to addresses that are none of this machine is delivered here. */
  function deliverHere(selector: readonly string[]): void {
    for (const [family, all] of [
      ['-4', '0.0.0.0/0'],
      ['-6', '::/0'],
    ] as const) {
      proxy.ip(family, 'rule', 'add', ...selector, 'lookup', '100');
      proxy.ip(family, 'route', 'replace', 'local', all, 'dev', 'lo', 'table', '100');
    }
  }

  function publish(to: string, from: string, id: string, port = '1883'): void {
    device.run('mosquitto_pub', '-h', to, '-p', port, '-A', from, '-i', id, '-t', 't', '-m', 'm', '-q', '1');
  }

  const sees = (address: string, id: string) =>
    until(() => {
      const line = broker
        .output()
        .split('\n')
        .find((each) => each.includes(` as ${id} `));
      return line?.match(/New client connected from (\S+):\d+ as/)?.[1] === address;
    }, `the broker to see ${id} from ${address}`);

  test('shows nodes the device’s own address, by a mark of nftables', async () => {
    const rules = join(directory, 'divert.nft');
    writeFileSync(
      rules,
      `table inet breakwater {
  chain divert {
    type filter hook prerouting priority mangle;
    meta l4proto tcp socket transparent 1 meta mark set 1
  }
}
`,
    );
    proxy.run('nft', '-f', rules);
    deliverHere(['fwmark', '1']);
    publish('10.99.1.1', '10.99.1.2', 'mark-4');
    publish('fd99:1::1', 'fd99:1::2', 'mark-6');
    await sees('10.99.1.2', 'mark-4');
    await sees('fd99:1::2', 'mark-6');
    expect(breakwater.child.exitCode).toBeNull();
  });

  test('and by a rule of iproute2 alone', async () => {
    deliverHere(['iif', 'eth1', 'ipproto', 'tcp', 'sport', '1883']);
    publish('10.99.1.1', '10.99.1.3', 'rule-4');
    publish('fd99:1::1', 'fd99:1::2', 'rule-6');
    publish('10.99.1.1', '10.99.1.3', 'rule-tcp', '1884');
    await sees('10.99.1.3', 'rule-4');
    await sees('fd99:1::2', 'rule-6');
    await sees('10.99.1.3', 'rule-tcp');
    expect(breakwater.child.exitCode).toBeNull();
  });
});

describe('a start with transparent mode', () => {
  const pools = { default: { upstream, nodes: [{ url: 'mqtt://127.0.0.1:1' }] } };

  test('is refused on the node engine', async () => {
    await expect(startBreakwater({ proxy: { engine: 'node' }, pools })).rejects.toThrow(
      'pools.default.upstream.transparent: it needs proxy.engine: epoll',
    );
  });

  test.skipIf(fault !== undefined)('is refused without CAP_NET_ADMIN', async () => {
    const yaml = join(temporaryDirectory(), 'breakwater.yaml');
    writeFileSync(yaml, JSON.stringify({ listeners: [{ url: 'mqtt://127.0.0.1:0' }], pools }));
    const bounded = ['--bounding-set=-net_admin,-net_raw', process.execPath, main, 'start', '-c', yaml];
    const refused = start('setpriv', bounded);
    expect(await refused.exited).not.toBe(0);
    expect(refused.output()).toContain('CAP_NET_ADMIN (EPERM)');
  });
});
