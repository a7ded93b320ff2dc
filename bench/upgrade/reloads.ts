import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { adopt } from '../../test/support/children.ts';
import { freePort } from '../../test/support/free-port.ts';
import { type CrowdFigures, gather } from '../failover/crowd.ts';
import { doorOf, type Way } from '../failover/doors.ts';
import { processesWith, residentMib } from '../failover/processes.ts';
import { type Actor, Stage } from '../failover/stage.ts';
import { searchPath } from '../proxies.ts';
import { certificateFile, startNodes } from './scene.ts';
import { type UpgradeReport, visitsOf } from './upgrades.ts';
import { receive } from './visit.ts';

/** The same with HAProxy: its new process gets the listening sockets, and the old one keeps the connections. */

export interface ReloadPlay {
  readonly main: string;
  readonly devices: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  /** `hard-stop-after`, in seconds. */
  readonly hardStopS: number;
}

export interface ReloadReport {
  readonly play: ReloadPlay;
  readonly reloads: number;
  /** Behind the reloads. */
  readonly processes: number;
  readonly residentMib: number;
  readonly disconnectsBefore: number;
  /** When `hard-stop-after` of all of them is over. */
  readonly processesAfter: number;
  readonly figures: CrowdFigures;
  /** From the first disconnect to the last; in milliseconds. */
  readonly cutWithinMs: number;
  readonly visits: UpgradeReport['visits'];
}

const RELOADS = 3;
const BETWEEN_MS = 2_000;
const VISIT_EVERY_MS = 50;

export async function performReloads(play: ReloadPlay): Promise<ReloadReport> {
  const stage = new Stage(play.main);
  try {
    const nodes = await startNodes(stage);
    const pem = certificateFile(stage);
    const [port, tlsPort] = [await freePort(), await freePort()];
    const file = stage.written('haproxy.cfg', configuration(stage, nodes, { port, tlsPort, pem, ...play }));
    await stage.actor('haproxy', port, ['haproxy', '-f', file]);
    const ways: readonly Way[] = [
      { scheme: 'mqtt', port },
      { scheme: 'mqtts', port: tlsPort, version: 'TLSv1.2' },
      { scheme: 'mqtts', port: tlsPort, version: 'TLSv1.3' },
    ];
    const { devices, rate } = play;
    const crowd = await gather({
      ...{ devices, rate, versions: [4, 5], subscriber: 'self', clean: false, comesBack: true },
      doors: (index) => [doorOf(ways[Math.floor(index / 6) % ways.length] as Way)],
    });
    crowd.publish();
    const door = receive(ways.map(doorOf), VISIT_EVERY_MS);
    for (let i = 0; i < RELOADS; i++) {
      await sleep(BETWEEN_MS);
      reload(stage, file);
    }
    await sleep(BETWEEN_MS);
    const pids = processesWith(file);
    const residentMibs = pids.reduce((sum, pid) => sum + residentMib(pid), 0);
    const disconnectsBefore = crowd.figures().disconnects;
    await sleep(play.hardStopS * 1000 + BETWEEN_MS);
    await crowd.quieten();
    const report = {
      ...{ play, reloads: RELOADS, processes: pids.length, residentMib: Math.round(residentMibs) },
      ...{ disconnectsBefore, processesAfter: processesWith(file).length, figures: crowd.figures() },
      ...{
        cutWithinMs: spreadOf(crowd.members().flatMap(({ lostAtMs }) => (lostAtMs > 0 ? [lostAtMs] : []))),
        visits: visitsOf(await door.end()),
      },
    };
    await crowd.leave();
    return report;
  } finally {
    await stage.strike();
  }
}

/** Starts a process that takes the listening sockets from the ones before, and has them end when their connections have. */
function reload(stage: Stage, file: string): void {
  const old = processesWith(file).map(String);
  const args = ['-f', file, '-x', stage.path('haproxy.sock'), '-sf', ...old];
  adopt(spawn('haproxy', args, { stdio: 'ignore', env: { ...process.env, PATH: searchPath } }));
}

function spreadOf(times: readonly number[]): number {
  return times.length === 0 ? 0 : Math.round(Math.max(...times) - Math.min(...times));
}

interface Ports {
  readonly port: number;
  readonly tlsPort: number;
  /** Path of the certificate with its key. */
  readonly pem: string;
}

function configuration(
  stage: Stage,
  nodes: readonly Actor[],
  { port, tlsPort, pem, hardStopS }: Ports & ReloadPlay,
): string {
  const servers = nodes.map(({ id, port: at }) => `  server ${id} 127.0.0.1:${at} check inter 1s`);
  return `global
  maxconn 9500
  hard-stop-after ${hardStopS}s
  stats socket ${stage.path('haproxy.sock')} mode 600 level admin expose-fd listeners
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
frontend devices
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${tlsPort} ssl crt ${pem}
  default_backend brokers
backend brokers
  balance leastconn
${servers.join('\n')}
`;
}
