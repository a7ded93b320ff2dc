import { setTimeout as sleep } from 'node:timers/promises';
import { type Crowd, type CrowdFigures, gather, willTopic } from './crowd.ts';
import { Device } from './device.ts';
import { type Door, tcpDoor } from './doors.ts';
import type { AckTimes } from './ledger.ts';
import { type Moves, movesIn } from './moves.ts';
import { type Actor, Stage } from './stage.ts';

export interface Play {
  /** `dist/breakwater/main.js` */
  readonly main: string;
  readonly fault: 'none' | 'kill' | 'hang' | 'rolling' | 'rebalance';
  /**
   * aedes brokers share their sessions over Redis; mosquitto brokers share nothing; emqx is the stand-in, which shares
   * sessions while both nodes live.
   */
  readonly brokers: 'aedes' | 'mosquitto' | 'emqx';
  /** `direct`: each device knows all nodes. */
  readonly front: 'breakwater' | 'haproxy' | 'direct';
  readonly engine: string;
  readonly devices: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  readonly clean: boolean;
  /** How long a hanging broker hangs. */
  readonly hangMs: number;
  /** Of the stand-in's own waits (`EMQX_TIME_SCALE`); 1 is what the real one has. */
  readonly timeScale?: number | undefined;
  /** Of the stand-in: from 5.6 on a takeover publishes the Will. */
  readonly emqxVersion?: '5.3' | '5.6' | undefined;
  /** Traffic before the fault and after its end. */
  readonly calmMs: number;
  /** Added to the pool's configuration. */
  readonly pool?: object;
  /** Where the proxy's log is kept. */
  readonly logFile?: string | undefined;
}

export interface Report extends CrowdFigures {
  /** Devices at the broker before its fault. */
  readonly affected: number;
  /** Absent without Breakwater: nobody else moves anything. */
  readonly moves: Moves | undefined;
  /** How long the acknowledgements of all other devices took, before the fault and while devices were moved. */
  readonly others: { readonly before: AckTimes; readonly during: AckTimes } | undefined;
  /** Client ids whose Will somebody received. */
  readonly wills: readonly string[];
}

const NODES = 3;
const TOLERANCE = 0.1;
/** How long it may take until every affected device has another node. */
const MOVES_TIMEOUT_MS = 60_000;
/** Two of these are less than a hang is found in. */
const LOOK_MS = 750;

interface Scene {
  readonly play: Play;
  readonly nodes: readonly Actor[];
  /** Absent where devices connect to the nodes. */
  readonly front: (Actor & { readonly adminUrl?: string }) | undefined;
  readonly crowd: Crowd;
}

/** Real processes, many devices and one fault: what devices saw of it. */
export async function perform(play: Play): Promise<Report> {
  const stage = new Stage(play.main);
  try {
    const nodes = await startNodes(stage, play);
    const front = await startFront(stage, nodes, play);
    const wills: string[] = [];
    const watched = play.brokers === 'emqx' ? nodes.slice(1, 2) : nodes; // there each node tells what all have
    const watchers = await Promise.all(watched.map(({ port }) => watchWills(port, wills)));
    const doors = (front === undefined ? nodes : [front]).map(({ port }) => tcpDoor(port));
    const crowd = await gather({
      doors: (index) => doors.map((_, i) => doors[(index + i) % doors.length] as Door),
      devices: play.devices,
      rate: play.rate,
      versions: play.brokers === 'aedes' ? [4] : [4, 5],
      subscriber: play.brokers === 'mosquitto' ? 'self' : 'next',
      clean: play.clean,
      comesBack: play.front !== 'breakwater',
    });
    const scene = { play, nodes, front, crowd };
    crowd.publish();
    await sleep(play.calmMs);
    const affected = await connectionsAt(scene, nodes[0] as Actor);
    const faultAtMs = Date.now();
    await faults[play.fault](scene, affected, faultAtMs);
    crowd.markLater();
    await sleep(play.calmMs);
    await crowd.quieten();
    const moves =
      play.front === 'breakwater' && front !== undefined ? movesIn(front.output(), faultAtMs) : undefined;
    const others = moves && othersOf(crowd, moves, faultAtMs, play.calmMs);
    const report = { affected, moves, others, ...crowd.figures(), wills: [...wills] };
    await crowd.leave();
    await Promise.all(watchers.map((watcher) => watcher.leave()));
    return report;
  } finally {
    if (play.logFile !== undefined) stage.keepOutput(play.logFile);
    await stage.strike();
  }
}

function othersOf(crowd: Crowd, moves: Moves, faultAtMs: number, calmMs: number): Report['others'] {
  const times = (fromMs: number, toMs: number) => crowd.ackTimesBut(moves.clientIds, fromMs, toMs);
  return {
    before: times(faultAtMs - calmMs / 2, faultAtMs),
    during: times(faultAtMs, faultAtMs + Math.max(1, moves.lastAfterMs)),
  };
}

async function startFront(stage: Stage, nodes: readonly Actor[], play: Play): Promise<Scene['front']> {
  if (play.front === 'direct') return undefined;
  if (play.front === 'haproxy') return stage.haproxy(nodes);
  const firesNoWill = play.brokers === 'emqx' && play.emqxVersion !== '5.6';
  const upstream = firesNoWill ? { upstream: { takeoverFiresWill: false } } : {};
  return stage.breakwater(nodes, play.engine, { ...upstream, ...play.pool });
}

async function startNodes(stage: Stage, play: Play): Promise<Actor[]> {
  const { brokers, timeScale = 1, emqxVersion = '5.3' } = play;
  const ids = Array.from({ length: NODES }, (_, index) => `${brokers}-${index + 1}`);
  if (brokers === 'emqx') {
    return stage.emqx(ids, { EMQX_TIME_SCALE: `${timeScale}`, EMQX_VERSION: emqxVersion });
  }
  if (brokers === 'mosquitto') return Promise.all(ids.map((id) => stage.mosquitto(id)));
  const redis = await stage.redis();
  return Promise.all(ids.map((id) => stage.aedes(id, redis)));
}

async function watchWills(port: number, wills: string[]): Promise<Device> {
  const watcher = new Device({
    ...{ doors: [tcpDoor(port)], clientId: `watcher-${port}`, protocolVersion: 4 },
    ...{ clean: true, comesBack: false },
    subscribeTo: `${willTopic}/#`,
    onMessage: (_topic, payload) => wills.push(payload),
    onDisconnect() {}, // its broker has been killed
    onViolation() {},
  });
  await watcher.start();
  return watcher;
}

const faults: Readonly<
  Record<Play['fault'], (scene: Scene, affected: number, faultAtMs: number) => Promise<void>>
> = {
  /** What there is to see without a fault. */
  async none() {},

  async kill(scene, affected, faultAtMs) {
    scene.nodes[0]?.signal('SIGKILL');
    await moved(scene, affected, faultAtMs);
  },

  async hang(scene, affected, faultAtMs) {
    const { brokers, hangMs } = scene.play;
    scene.nodes[0]?.signal('SIGSTOP');
    // A cluster that shares sessions gives none away while the node that has it hangs.
    const isLeft = brokers === 'emqx' ? undefined : moved(scene, affected, faultAtMs);
    await Promise.all([isLeft, sleep(hangMs), markHalfway(scene)]);
    scene.nodes[0]?.signal('SIGCONT');
  },

  /** The node comes back empty, and gets its share. */
  async rebalance(scene, affected, faultAtMs) {
    const [node] = scene.nodes as [Actor];
    node.signal('SIGKILL');
    await moved(scene, affected, faultAtMs);
    await node.stop();
    await node.start();
    await met(async () => (await nodeOf(scene, node)).health === 'healthy', `${node.id} to be healthy`);
    await admin(scene, 'rebalance', 'POST', { tolerance: TOLERANCE });
    await met(async () => (await rebalanceOf(scene)).state === 'done', 'the rebalance to end');
    const { spread } = await rebalanceOf(scene);
    if (spread > TOLERANCE) throw new Error(`still uneven after the rebalance: ${spread}`);
  },

  async rolling(scene) {
    for (const node of scene.nodes) {
      await admin(scene, `nodes/${node.id}/drain`, 'POST');
      await met(async () => (await connectionsAt(scene, node)) === 0, `${node.id} to be empty`);
      await node.stop();
      await node.start();
      await admin(scene, `nodes/${node.id}`, 'PATCH', { state: 'enabled' });
      await met(async () => (await nodeOf(scene, node)).health === 'healthy', `${node.id} to be healthy`);
    }
  },
};

/** What waits for PUBCOMP at two looks, before anything moves, waits for the node that hangs. */
async function markHalfway({ crowd }: Scene): Promise<void> {
  for (let look = 0; look < 2; look++) {
    await sleep(LOOK_MS);
    crowd.markHalfway();
  }
}

async function moved({ play, front }: Scene, affected: number, faultAtMs: number): Promise<void> {
  if (play.front !== 'breakwater' || front === undefined) return;
  const all = () => movesIn(front.output(), faultAtMs);
  await met(() => all().moved >= affected, `${affected} devices to be moved`).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(all())}`);
  });
}

interface RebalanceView {
  readonly state: string;
  readonly spread: number;
}

interface NodeView {
  readonly connections: number;
  readonly health: string;
}

async function connectionsAt(scene: Scene, node: Actor): Promise<number> {
  return scene.front?.adminUrl === undefined ? 0 : (await nodeOf(scene, node)).connections;
}

function nodeOf(scene: Scene, { id }: Actor): Promise<NodeView> {
  return admin(scene, `nodes/${id}`, 'GET') as Promise<NodeView>;
}

function rebalanceOf(scene: Scene): Promise<RebalanceView> {
  return admin(scene, 'rebalance', 'GET') as Promise<RebalanceView>;
}

async function admin({ front }: Scene, path: string, method: string, body?: object): Promise<unknown> {
  const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${front?.adminUrl}/api/v1/${path}`, { method, ...json });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function met(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + MOVES_TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${MOVES_TIMEOUT_MS} ms for ${what}`);
    await sleep(50);
  }
}
