import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startAedes } from '../support/aedes.ts';
import { main } from '../support/cli.ts';
import { connectDevice, openSocket } from '../support/devices.ts';
import { freePort } from '../support/free-port.ts';
import { start, temporaryDirectory } from '../support/process.ts';
import { until } from '../support/wait.ts';

test.runIf(process.platform === 'linux')(
  'with few open files fewer devices are taken, which is said with the number, and the admin API goes on',
  async () => {
    const [broker] = await startAedes(1);
    const [port, admin] = [await freePort(), `http://127.0.0.1:${await freePort()}`];
    const path = join(temporaryDirectory(), 'breakwater.yaml');
    const pools = { default: { nodes: [{ url: broker?.url }] } };
    const listeners = [{ url: `mqtt://127.0.0.1:${port}` }];
    writeFileSync(path, JSON.stringify({ listeners, pools, admin: { url: admin } }));
    const proxy = start('sh', ['-c', `ulimit -n 256 && exec ${process.execPath} ${main} start -c ${path}`]);
    await until(() => proxy.output().includes('"msg":"listening"'), 'the listener');
    const line = proxy
      .output()
      .split('\n')
      .find((text) => text.includes('open files are too few'));
    const { level, limit, needed, maxConnections } = JSON.parse(line ?? '{}');
    expect({ level, limit }).toEqual({ level: 'warn', limit: 256 });
    expect(needed).toBeGreaterThan(200_000);
    expect(maxConnections).toBeGreaterThan(10);

    for (let i = 0; i < maxConnections; i++) expect((await connectDevice(port, `d${i}`)).code).toBe(0);
    for (let i = 0; i < 300; i++) openSocket(port).write('x');
    const metrics = async () => (await fetch(`${admin}/metrics`)).text();
    const refused = await until(
      async () =>
        /^breakwater_connect_rejected_total\{reason="max-connections"\} (\d+)$/m.exec(await metrics())?.[1],
      'devices to be refused',
    );
    expect(Number(refused)).toBeGreaterThan(0);
    const [node] = (await (await fetch(`${admin}/api/v1/nodes`)).json()) as { health: string }[];
    expect(node?.health).not.toBe('unhealthy');
    expect(proxy.output()).not.toContain('out of descriptors');
  },
);
