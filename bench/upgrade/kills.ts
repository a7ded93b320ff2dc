import { setTimeout as sleep } from 'node:timers/promises';
import { type Crowd, gather } from '../failover/crowd.ts';
import { doorOf } from '../failover/doors.ts';
import { childrenOf, processesWith, socketsOf, tcpSockets } from '../failover/processes.ts';
import { Stage } from '../failover/stage.ts';
import { randomFrom } from '../random.ts';
import { type Front, type Kind, ready, startFront, startNodes, upgrade } from './scene.ts';
import { visit } from './visit.ts';

/**
 * The new or the old process of an upgrade is killed at a random moment, or stopped (SIGSTOP). Whose connection only the killed one has,
 * is gone, and comes back through the other; nobody else notices. One that is stopped goes on after a while, and then nobody is gone.
 */

export interface KillPlay {
  readonly main: string;
  readonly engine: string;
  readonly devices: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  readonly kills: number;
  /** Behind those: upgrades of which the new process and the old one are stopped by turns, while connections go over. */
  readonly stops: number;
  readonly seed: number;
}

/** One of them. Devices are counted by who had their connection in that moment. */
export interface KillRound {
  readonly how: 'killed' | 'stopped';
  readonly victim: 'new' | 'old';
  readonly moment: Moment;
  /** Behind that moment. */
  readonly delayMs: number;
  readonly atVictim: number;
  readonly atBoth: number;
  readonly elsewhere: number;
  /** Devices that were disconnected. */
  readonly gone: number;
  /** From the kill until a device that comes was served, at the slowest listener; where the other process had the listeners. */
  readonly servedAfterMs: number | undefined;
  /** From the kill until every device has had a message again, those that had come back too. */
  readonly backAfterMs: number;
  /** The new process was the proxy already: it was not killed, or its end was that of a proxy, which was started again. */
  readonly wasOver: boolean;
}

/** From where the delay counts: the new process is there, it has the listening sockets, or a device's connection is at both. */
type Moment = 'started' | 'listening' | 'handing';

const victims = ['new', 'old'] as const;
const moments = ['started', 'listening', 'handing', 'handing'] as const;
/** What devices of MQTT 5 are told when their proxy stops: it does, where the new process is killed when it is the proxy. */
const LEAVE = 'DISCONNECT 0x8b';
const HEARD_WITHIN_MS = 15_000;
const SERVED_WITHIN_MS = 5_000;
/** The new process is late for a batch, but not so late that it is killed. The old one is waited for. */
const STOPPED_MS = { new: 3_000, old: 11_000 };
/** Of the time in which connections go over: few go in no time. */
const LEAST_MS = 30;
const BACK_AFTER_MS = 50;
/** A process that is stopped is to be in the middle of it. */
const EARLY_PART = 1 / 4;

interface Scene {
  readonly play: KillPlay;
  readonly stage: Stage;
  readonly front: Front;
  readonly kinds: readonly Kind[];
  readonly crowd: Crowd;
  readonly violations: string[];
}

export async function performKills(
  play: KillPlay,
): Promise<{ readonly rounds: readonly KillRound[]; readonly violations: readonly string[] }> {
  const stage = new Stage(play.main);
  const chance = randomFrom(play.seed);
  try {
    const { front, kinds } = await startFront(stage, await startNodes(stage), play.engine);
    const crowd = await gather({
      ...{ devices: play.devices, rate: play.rate, versions: [4, 5], subscriber: 'self', clean: false },
      ...{ comesBack: true, backAfterMs: BACK_AFTER_MS },
      doors: (index) => [doorOf(kinds[index % kinds.length] as Kind)],
    });
    const violations: string[] = [];
    const scene: Scene = { play, stage, front, kinds, crowd, violations };
    crowd.publish();
    const rounds: KillRound[] = [];
    const longest = await lasting(scene);
    const oneOf = <T>(words: readonly T[]): T => words[Math.floor(chance() * words.length)] as T;
    for (let i = 0; i < play.kills; i++) {
      const [victim, moment] = [oneOf(victims), oneOf(moments)];
      const share = chance();
      // Most connections go in the first part of it.
      const delayMs = Math.round(longest[moment] * (moment === 'handing' ? share * share : share));
      rounds.push(await killOne(scene, `kill ${i + 1}`, { how: 'killed', victim, moment, delayMs }));
    }
    for (let i = 0; i < play.stops; i++) {
      const delayMs = Math.round(longest.handing * chance() ** 2 * EARLY_PART);
      const plan = { how: 'stopped', victim: victims[i % 2] ?? 'new', moment: 'handing', delayMs } as const;
      rounds.push(await killOne(scene, `stop ${i + 1}`, plan));
    }
    await crowd.quieten();
    const members = crowd.members();
    const { lost, duplicates } = crowd.figures((index) => members[index]?.disconnects === 0);
    if (lost.qos1 + lost.qos2 + duplicates.qos1 + duplicates.qos2 > 0)
      violations.push(
        `of devices that stayed connected: ${JSON.stringify({ lost, duplicates })} ${crowd.figures().examples.join('; ')}`,
      );
    violations.push(...crowd.figures().violations.filter((what) => !what.includes(LEAVE)));
    await crowd.leave();
    return { rounds, violations };
  } finally {
    await stage.strike();
  }
}

/** An upgrade in which nobody is killed: how long it goes on behind each moment, in milliseconds. */
async function lasting({ play, front, kinds }: Scene): Promise<Readonly<Record<Moment, number>>> {
  const { pid: old } = (await ready(front)).proxy;
  const upgraded = upgrade(play.main, front);
  const over = upgraded.then(
    () => undefined,
    () => 'failed',
  );
  const times: number[] = [];
  const next = await newProcess(old, over);
  times.push(performance.now());
  await reached('listening', kinds, [old, next], over);
  times.push(performance.now());
  await reached('handing', kinds, [old, next], over);
  times.push(performance.now());
  await upgraded;
  const [started, listening, handing] = times.map((time) => performance.now() - time) as [
    number,
    number,
    number,
  ];
  return { started, listening, handing: Math.max(handing, LEAST_MS) };
}

/** A round in which the upgrade was over before the new process could be killed: nobody is killed. */
const nothing = {
  ...{ atVictim: 0, atBoth: 0, elsewhere: 0, gone: 0 },
  ...{ servedAfterMs: undefined, backAfterMs: 0, wasOver: true },
};

type Plan = Pick<KillRound, 'how' | 'victim' | 'moment' | 'delayMs'>;

async function killOne(scene: Scene, name: string, plan: Plan): Promise<KillRound> {
  const { play, front, crowd, kinds, violations } = scene;
  const { pid: old } = (await ready(front)).proxy;
  await heardBy(scene, performance.now(), name);
  const before = crowd.members().map(({ disconnects }) => disconnects);
  const isGone = (index: number) => crowd.members()[index]?.disconnects !== before[index];
  const upgraded = upgrade(play.main, front).then(
    () => undefined,
    (error: Error) => error.message,
  );
  const next = await newProcess(old, upgraded);
  if (plan.moment !== 'started') await reached(plan.moment, kinds, [old, next], upgraded);
  await sleep(plan.delayMs);

  if (plan.victim === 'new' && isUpgraded(front, next)) {
    await upgraded;
    return { ...plan, ...nothing };
  }
  const [victim, other] = plan.victim === 'new' ? [next, old] : [old, next];
  const isStopped = plan.how === 'stopped';
  const held = strike(scene, victim, other, isStopped ? 'SIGSTOP' : 'SIGKILL');
  let killedAtMs = performance.now();
  const visited = Promise.all(held.otherListens ? kinds.map((kind) => visit(doorOf(kind))) : []);
  if (isStopped) {
    await sleep(STOPPED_MS[plan.victim]);
    signal(victim, 'SIGCONT');
    killedAtMs = performance.now();
  }
  const visits = await visited;
  const failure = await upgraded;
  const wasOver = plan.victim === 'new' && isUpgraded(front, next);
  if (wasOver && !isStopped) await restart(scene);
  await ready(front);
  await heardBy(scene, killedAtMs, name);
  const backAfterMs = Math.round(performance.now() - killedAtMs);

  const note = (what: string) =>
    wasOver || violations.push(`${name} (${plan.victim}, ${plan.moment}): ${what}`);
  held.devices.forEach((where, index) => {
    const { name: kind } = kinds[index % kinds.length] as Kind;
    if (where === 'elsewhere' && isGone(index))
      note(`device ${index} (${kind}) is gone, though another process had it`);
    if (isStopped && isGone(index)) note(`device ${index} (${kind}) is gone, though both processes went on`);
    else if (where === 'both' && plan.victim === 'old' && isGone(index))
      note(`device ${index} (${kind}) is gone, though the new process had it already`);
  });
  for (const { refusal } of visits)
    if (refusal !== undefined) note(`a device that came was refused: ${refusal}`);
  if (isStopped && failure !== undefined) note(`the upgrade failed: ${failure}`);
  const slowest = Math.round(Math.max(0, ...visits.map(({ afterMs }) => afterMs)));
  const servedWithinMs = SERVED_WITHIN_MS + (isStopped && plan.victim === 'new' ? STOPPED_MS.new : 0);
  if (slowest > servedWithinMs) note(`a device that came was served after ${slowest} ms`);
  const count = (which: Where) => held.devices.filter((where) => where === which).length;
  const gone = crowd.members().filter((_, index) => isGone(index));
  return {
    ...plan,
    ...{ atVictim: count('victim'), atBoth: count('both'), elsewhere: count('elsewhere'), gone: gone.length },
    servedAfterMs: visits.length === 0 ? undefined : slowest,
    ...{ backAfterMs, wasOver },
  };
}

/** By the log of the old process. */
function isUpgraded(front: Front, pid: number): boolean {
  return front
    .output()
    .split('\n')
    .some((line) => line.includes('"upgraded: ') && line.includes(`"pid":${pid},`));
}

async function restart({ stage, front }: Scene): Promise<void> {
  await front.stop();
  for (const pid of processesWith(stage.path('breakwater.yaml'))) signal(pid, 'SIGKILL');
  await front.start();
}

type Where = 'victim' | 'both' | 'elsewhere' | 'nowhere';

/**
 * Stops both, looks who has what, ends one by SIGKILL or leaves it as it is, and lets the other go on. What is on its way from the old one to the new one is
 * still the old one's alone by this look, and may go on all the same.
 */
function strike({ stage, kinds, crowd }: Scene, victim: number, other: number, deed: 'SIGKILL' | 'SIGSTOP') {
  for (const pid of [victim, other]) signal(pid, 'SIGSTOP');
  const ports = new Set(kinds.map(({ port }) => port));
  const sockets = tcpSockets().filter(({ localPort }) => ports.has(localPort));
  const held = socketsOf(victim);
  const others = processesWith(stage.path('breakwater.yaml')).filter((pid) => pid !== victim);
  const heldByOthers = new Set(others.flatMap((pid) => [...socketsOf(pid)]));
  // Devices of two listeners may have the same port; of connections that have ended the inode is 0.
  const living = sockets.filter(({ inode }) => inode > 0);
  const inodes = new Map(
    living.map(({ localPort, remotePort, inode }) => [`${localPort} ${remotePort}`, inode]),
  );
  const devices = crowd.members().map(({ localPort }, index): Where => {
    const inode = inodes.get(`${kinds[index % kinds.length]?.port} ${localPort}`) ?? 0;
    if (held.has(inode)) return heldByOthers.has(inode) ? 'both' : 'victim';
    return heldByOthers.has(inode) ? 'elsewhere' : 'nowhere';
  });
  const ofOther = socketsOf(other);
  const otherListens = sockets.some(({ isListening, inode }) => isListening && ofOther.has(inode));
  signal(victim, deed);
  signal(other, 'SIGCONT');
  return { devices, otherListens };
}

/** A process that has ended already is left alone. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Resolves when everyone has had a message that came behind that time; otherwise that is a violation. */
async function heardBy({ crowd, kinds, violations }: Scene, sinceMs: number, name: string): Promise<void> {
  const silent = () =>
    crowd
      .members()
      .flatMap(({ heardAtMs, isConnected }, index) => (heardAtMs < sinceMs || !isConnected ? [index] : []));
  const endMs = performance.now() + HEARD_WITHIN_MS;
  while (silent().length > 0 && performance.now() < endMs) await sleep(20);
  for (const index of silent()) {
    const { name: kind } = kinds[index % kinds.length] as Kind;
    violations.push(`${name}: device ${index} (${kind}) hears nothing any more`);
  }
}

/** The process that an upgrade has started. @throws Error where it has failed before that */
async function newProcess(old: number, upgraded: Promise<string | undefined>): Promise<number> {
  let failure: string | undefined;
  upgraded.then((error) => {
    failure = error ?? 'it was over before its process was found';
  });
  for (;;) {
    const [pid] = childrenOf(old);
    if (pid !== undefined) return pid;
    if (failure !== undefined) throw new Error(`no new process: ${failure}`);
    await sleep(2);
  }
}

/** Resolves in this moment of the hand-over between two processes, or when it is over. */
async function reached(
  moment: 'listening' | 'handing',
  kinds: readonly Kind[],
  [old, next]: readonly [number, number],
  upgraded: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  upgraded.then(() => {
    isOver = true;
  });
  const ports = new Set(kinds.map(({ port }) => port));
  const watched = tcpSockets()
    .filter(({ isListening, localPort }) => ports.has(localPort) && isListening === (moment === 'listening'))
    .map(({ inode }) => inode);
  const held = socketsOf(old);
  const shared = watched.filter((inode) => held.has(inode));
  while (!isOver) {
    const taken = socketsOf(next);
    if (shared.some((inode) => taken.has(inode))) return;
    await sleep(1);
  }
}
