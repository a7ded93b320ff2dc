import { setTimeout as sleep } from 'node:timers/promises';
import { type Crowd, type CrowdFigures, gather } from '../failover/crowd.ts';
import { doorOf } from '../failover/doors.ts';
import { descriptorsOf, processesWith, residentMib } from '../failover/processes.ts';
import { Stage } from '../failover/stage.ts';
import { type Front, type Kind, ready, startFront, startNodes, upgrade } from './scene.ts';
import { receive, type Visit } from './visit.ts';
import { type Watched, type Watchers, watch } from './watchers.ts';

/** Upgrades in a row under devices of all kinds, and what those see. */

export interface UpgradePlay {
  /** `dist/breakwater/main.js` */
  readonly main: string;
  readonly engine: string;
  readonly devices: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  readonly upgrades: number;
  /** Devices that are measured, besides. */
  readonly watched: number;
  /** Between two messages of one of those. */
  readonly everyMs: number;
  /** Between two upgrades, for what was let go to be gone; also how long a quiet time is measured. */
  readonly settleMs: number;
}

/** One upgrade, and the process behind it. */
export interface Generation {
  readonly generation: number;
  readonly seconds: number;
  readonly connections: number;
  /** Devices that stayed with the process before. */
  readonly left: number;
  /** Pauses of the devices that are measured, in milliseconds. */
  readonly pauseMs: Quantiles;
  /** How late the timers of those devices were at worst. */
  readonly lateMs: number;
  readonly descriptors: number;
  readonly residentMib: number;
  /** Processes of the proxy, the one that was started first too, and what the others have together. */
  readonly processes: number;
  readonly othersMib: number;
  /** So far. */
  readonly disconnects: number;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface UpgradeReport {
  readonly play: UpgradePlay;
  readonly before: Generation;
  readonly generations: readonly Generation[];
  /** Of all upgrades. */
  readonly pauseMs: Quantiles;
  /** Of the same devices in times as long without an upgrade. */
  readonly quietMs: Quantiles;
  readonly figures: CrowdFigures;
  /** Devices that were disconnected, by their kind. */
  readonly disconnected: ReadonlyMap<string, number>;
  readonly watchedDisconnects: number;
  readonly watchedLost: number;
  readonly visits: { readonly count: number; readonly refused: readonly string[] } & Quantiles;
  readonly violations: readonly string[];
}

const VISIT_EVERY_MS = 50;
/** Behind the answer of the command line, until a measure ends. */
const BEHIND_MS = 300;

interface Scene {
  readonly play: UpgradePlay;
  readonly stage: Stage;
  readonly front: Front;
  readonly kinds: readonly Kind[];
  readonly crowd: Crowd;
  readonly watchers: Watchers;
}

export async function performUpgrades(play: UpgradePlay): Promise<UpgradeReport> {
  const stage = new Stage(play.main);
  try {
    const { front, kinds } = await startFront(stage, await startNodes(stage), play.engine);
    const crowd = await gather({
      ...{ devices: play.devices, rate: play.rate, versions: [4, 5], subscriber: 'self' },
      ...{ clean: false, comesBack: true, doors: (index) => [doorOf(kindOf(kinds, index))] },
    });
    const ways = Array.from({ length: play.watched }, (_, index) => kindOf(kinds, index));
    const watchers = await watch({ ways, everyMs: play.everyMs });
    const scene = { play, stage, front, kinds, crowd, watchers };
    crowd.publish();
    await sleep(play.settleMs);
    return await observe(scene);
  } finally {
    await stage.strike();
  }
}

/** The versions of MQTT alternate with the devices, QoS with three of them, so kinds go by blocks of six. */
function kindOf(kinds: readonly Kind[], index: number): Kind {
  return kinds[Math.floor(index / 6) % kinds.length] as Kind;
}

async function observe(scene: Scene): Promise<UpgradeReport> {
  const { play, front, kinds, crowd, watchers } = scene;
  const first = await ready(front);
  const before = generationOf(scene, first.proxy.pid, { generation: first.proxy.generation });
  const generations: Generation[] = [];
  const pauses: number[] = [];
  const quiet: number[] = [];
  const visits: Visit[] = [];
  let last: Watched | undefined;
  for (let i = 0; i < play.upgrades; i++) {
    await watchers.begin();
    await sleep(play.settleMs);
    last = await watchers.end();
    quiet.push(...last.longestMs);
    const door = receive(kinds.map(doorOf), VISIT_EVERY_MS);
    await watchers.begin();
    const view = await upgrade(play.main, front);
    await sleep(BEHIND_MS);
    last = await watchers.end();
    visits.push(...(await door.end()));
    pauses.push(...last.longestMs);
    await sleep(play.settleMs);
    const { connections, left, seconds } = view;
    const { pid, generation } = view.to;
    const pauseMs = quantiles(last.longestMs);
    generations.push(
      generationOf(scene, pid, { generation, connections, left, seconds, pauseMs, lateMs: last.lateMs }),
    );
  }
  await crowd.quieten();
  const figures = crowd.figures();
  const report: UpgradeReport = {
    ...{ play, before, generations, figures, disconnected: disconnectedOf(scene) },
    ...{ pauseMs: quantiles(pauses), quietMs: quantiles(quiet), visits: visitsOf(visits) },
    ...{ watchedDisconnects: last?.disconnects ?? 0, watchedLost: last?.lost ?? 0 },
    violations: [...figures.violations, ...(last?.violations ?? [])],
  };
  await Promise.all([crowd.leave(), watchers.leave()]);
  return report;
}

function generationOf(scene: Scene, pid: number, known: Partial<Generation>): Generation {
  const others = processesWith(scene.stage.path('breakwater.yaml')).filter((each) => each !== pid);
  const none = { generation: 0, seconds: 0, connections: 0, left: 0, lateMs: 0, pauseMs: quantiles([]) };
  return {
    ...none,
    ...known,
    ...{
      descriptors: descriptorsOf(pid).length,
      residentMib: residentMib(pid),
      processes: others.length + 1,
    },
    othersMib: others.reduce((sum, each) => sum + residentMib(each), 0),
    disconnects: scene.crowd.members().reduce((sum, { disconnects }) => sum + disconnects, 0),
  };
}

function disconnectedOf({ kinds, crowd }: Scene): Map<string, number> {
  const counts = new Map<string, number>();
  crowd.members().forEach(({ disconnects }, index) => {
    const { name } = kindOf(kinds, index);
    if (disconnects > 0) counts.set(name, (counts.get(name) ?? 0) + disconnects);
  });
  return counts;
}

export function visitsOf(visits: readonly Visit[]): UpgradeReport['visits'] {
  const refused = visits.flatMap(({ refusal }) => refusal ?? []);
  return { count: visits.length, refused, ...quantiles(visits.map(({ afterMs }) => afterMs)) };
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round((sorted[Math.ceil(sorted.length * part) - 1] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
