import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { freePort } from '../../test/support/free-port.ts';
import { cpuUs, residentBytes } from '../load/gauges.ts';
import type { Figures, Task } from '../load/measures.ts';

/**
 * One source offers far more connects than it may; do the connects of others keep their latency, and the proxy its
 * memory? Everything runs on this machine and shares its cores, the storm included.
 */
const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '50000' },
    limit: { type: 'string', default: '200' },
    calm: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '5' },
    engine: { type: 'string', default: 'auto' },
    json: { type: 'boolean', default: false },
  },
});
const windowMs = Number(values.seconds) * 1000;
const proxy = { host: '127.0.0.1', port: await freePort() };
const sink = { host: '127.0.0.1', port: await freePort() };
const adminUrl = `http://127.0.0.1:${await freePort()}`;
const file = (path: string) => new URL(path, import.meta.url).pathname;

const directory = mkdtempSync(join(tmpdir(), 'breakwater-storm-'));
const configuration = join(directory, 'storm.yaml');
writeFileSync(
  configuration,
  JSON.stringify({
    proxy: { engine: values.engine },
    listeners: [{ url: `mqtt://${proxy.host}:${proxy.port}` }],
    pools: {
      default: {
        health: { interval: 60, unhealthyThreshold: 10 },
        nodes: [{ id: 'sink', url: `mqtt://${sink.host}:${sink.port}` }],
      },
    },
    limits: { connectRatePerSource: Number(values.limit) },
    admin: { url: adminUrl },
    log: { level: 'error' },
  }),
);

const server = spawn(process.execPath, [file('../../breakwater/main.js'), 'start', '-c', configuration], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const ended = once(server, 'exit');
const pids = [server.pid as number];

async function load(measure: string, task: Partial<Task>): Promise<Figures> {
  const whole = { proxy, sink, pids, warmUpMs: 0, windowMs, ...task };
  const { stdout } = await promisify(execFile)(process.execPath, [
    file('../load/main.js'),
    measure,
    JSON.stringify(whole),
  ]);
  return JSON.parse(stdout) as Figures;
}

const calm = (limits: Partial<Task> = {}) =>
  load('calmConnects', {
    from: '127.0.0.3',
    ratePerSecond: Number(values.calm),
    connections: 1000,
    ...limits,
  });

async function ready(): Promise<void> {
  for (;;) {
    const answer = await fetch(`${adminUrl}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    if (server.exitCode !== null) throw new Error(`the proxy ended with ${server.exitCode}`);
    await sleep(50);
  }
}

try {
  await ready();
  await calm({ windowMs: 1000 }); // until its code is compiled
  const quiet = await calm();
  const before = { bytes: residentBytes(pids), cpuUs: cpuUs(pids) };
  const storm = load('storm', { from: '127.0.0.2', ratePerSecond: Number(values.rate), connections: 1000 });
  const during = await calm({ windowMs: windowMs - 500 });
  const offered = await storm;
  const cost = {
    proxyCores: (cpuUs(pids) - before.cpuUs) / windowMs / 1000,
    grownMiB: (residentBytes(pids) - before.bytes) / 2 ** 20,
  };
  if (values.json) console.log(JSON.stringify({ quiet, during, storm: { ...offered, ...cost } }));
  else {
    console.table({ 'without the storm': quiet, 'in the storm': during });
    console.table({ 'the storm': { ...offered, ...cost } });
  }
} finally {
  server.kill('SIGKILL');
  await ended;
  rmSync(directory, { recursive: true });
}
