import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Crowd, gather } from '../failover/crowd.ts';
import { tcpDoor } from '../failover/doors.ts';
import { Stage } from '../failover/stage.ts';
import { changeOf } from './changes.ts';

/** Prints what devices and the process see of many reloads in a row, each of which changes nearly everything. */
const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'auto' },
    devices: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '400' },
    reloads: { type: 'string', default: '100' },
    /** So many times as many reloads: memory that grows in the first may be a heap that has found its size. */
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const [devices, rate, reloads, rounds] = [values.devices, values.rate, values.reloads, values.rounds].map(
  Number,
) as [number, number, number, number];
/** For what was allocated to be collected, and what was closed to be gone. */
const SETTLE_MS = 3_000;

type Front = Awaited<ReturnType<Stage['breakwater']>>;

interface Row {
  readonly reloads: number;
  readonly p50Ms: number;
  readonly maxMs: number;
  readonly rssMib: number;
  readonly descriptors: number;
  readonly disconnects: number;
  readonly slowestAckMs: number;
}

async function perform(): Promise<{ rows: Row[]; lost: number; violations: readonly string[] }> {
  const stage = new Stage(new URL('../../breakwater/main.js', import.meta.url).pathname);
  try {
    const nodes = await Promise.all(['a', 'b', 'c'].map((id) => stage.mosquitto(id)));
    const front = await stage.breakwater(nodes, values.engine);
    const crowd = await gather({
      ...{ doors: () => [tcpDoor(front.port)], devices, rate, versions: [4, 5], subscriber: 'self' },
      ...{ clean: false, comesBack: false },
    });
    crowd.publish();
    await sleep(SETTLE_MS);
    const rows = [rowOf(front, crowd, [])];
    for (let round = 0; round < rounds; round++) {
      const times: number[] = [];
      for (let turn = 0; turn < reloads; turn++) times.push(await reload(front, round * reloads + turn));
      await sleep(SETTLE_MS);
      rows.push(rowOf(front, crowd, times));
    }
    await crowd.quieten();
    const { lost, disconnects, violations } = crowd.figures();
    if (disconnects > 0) process.exitCode = 1;
    await crowd.leave();
    return { rows, lost: lost.qos1 + lost.qos2, violations };
  } finally {
    await stage.strike();
  }
}

/** Milliseconds until all of it held. */
async function reload({ adminUrl, config, configure }: Front, turn: number): Promise<number> {
  configure(changeOf(config, turn));
  const startedAtMs = performance.now();
  const response = await fetch(`${adminUrl}/api/v1/reload`, { method: 'POST' });
  if (!response.ok) throw new Error(`reload ${turn}: ${response.status} ${await response.text()}`);
  await response.text();
  return performance.now() - startedAtMs;
}

function rowOf(front: Front, crowd: Crowd, times: readonly number[]): Row {
  const sorted = times.toSorted((a, b) => a - b);
  const { disconnects, slowestAckMs } = crowd.figures();
  const status = readFileSync(`/proc/${front.pid()}/status`, 'utf8');
  return {
    reloads: times.length,
    p50Ms: round1(sorted[Math.floor(sorted.length / 2)] ?? 0),
    maxMs: round1(sorted.at(-1) ?? 0),
    rssMib: round1(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024),
    descriptors: readdirSync(`/proc/${front.pid()}/fd`).length,
    disconnects,
    slowestAckMs: Math.round(slowestAckMs),
  };
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

const report = await perform();
if (values.json) console.log(JSON.stringify(report));
else {
  console.log(`${devices} devices, ${rate} messages/s, engine ${values.engine}`);
  console.table(report.rows);
  console.log(`acknowledged and never received: ${report.lost}`);
  for (const line of report.violations) console.log(line);
}
