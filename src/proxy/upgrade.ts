import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from '../admin/admin.ts';
import type { UpgradeView } from '../admin/backend.ts';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import { runningTimeout } from '../base/running-timeout.ts';
import { systemClock } from '../base/time.ts';
import { type Giver, give } from '../handover/give.ts';
import { describeControl, describeLast } from './describe-control.ts';
import { findNode } from './find-node.ts';
import { type Formers, ProxyLine } from './formers.ts';
import { createConnectionGiver } from './give-connections.ts';
import type { HangUps } from './hang-ups.ts';
import { interruptible } from './interruptible.ts';
import { adminKey, type Origin } from './origin.ts';
import type { RunningParts } from './running-parts.ts';
import type { SingleFlight } from './single-flight.ts';
import { type Successor, startSuccessor } from './successor.ts';
import { token } from './token.ts';

/** A reload that is under way may take so long to end: it reads files, and waits for names of nodes and for data threads. */
const RELOAD_TIMEOUT_MS = 60_000;
/** How long the new process may take to get ready: it reads its files, and waits for the store and for names of nodes. */
const START_TIMEOUT_MS = 60_000;
/**
 * A batch stands still for 20 to 90 ms. A node gives a device up after one and a half keep-alives, and the device may have been silent for
 * one when the batch is stopped: half a keep-alive of 5 s is 2.5 s, in which it must go on here, or at the new process.
 */
const BATCH_TIMEOUT_MS = 2_000;
/** For each step behind those; none takes a tenth of it on a busy machine. */
const STEP_TIMEOUT_MS = 10_000;
/** Connections that are in the middle of something are tried again for so long. */
const SETTLE_MS = 5_000;
const limits = {
  ...{ startTimeoutMs: START_TIMEOUT_MS, batchTimeoutMs: BATCH_TIMEOUT_MS },
  ...{ stepTimeoutMs: STEP_TIMEOUT_MS, settleMs: SETTLE_MS },
};

export interface Upgrade {
  /**
   * Starts the program anew and hands everything over to it.
   * @throws BreakwaterError UPGRADE_UNAVAILABLE, UPGRADE_UNDER_WAY, UPGRADE_FAILED: then this process goes on as before
   */
  run(): Promise<UpgradeView>;
  /** Calls back when another process is the proxy: this one ends when its last devices have left. */
  onReplaced(run: (next: Replacement) => void): void;
  /** An upgrade that is under way fails, and the new process ends at once; resolves when all is as it was before. */
  cancel(): Promise<void>;
}

type GivenParts = Omit<RunningParts, 'owners'>;

/** The process that is the proxy behind an upgrade, as this one sees it. */
interface Replacement {
  /** As of `Successor`. */
  readonly line: Successor['line'];
  readonly proxy: ProxyLine;
}

interface UpgradeParts extends Omit<RunningParts, 'admin' | 'owners'> {
  readonly admin: () => Admin;
  readonly origin: Pick<Origin, 'line' | 'formers' | 'isWholeProgram'>;
  readonly hangUps: HangUps;
  readonly reloads: Pick<SingleFlight<unknown>, 'idle'>;
}

/** Replaces this process by a new one of the program, as it is installed now. */
export function createUpgrade({ admin, origin, hangUps, reloads, ...others }: UpgradeParts): Upgrade {
  const { line } = origin;
  const node = findNode();
  const { log, engine, events, phase, table, identity, serviceManager } = others.common;
  let onReplaced = (_: Replacement): void => {};
  let successor: Successor | undefined;
  let underWay: Promise<UpgradeView> | undefined;
  let cancelled = new AbortController();

  const parts = (): GivenParts => ({ ...others, admin: admin() });

  async function handOver(next: Successor, beganMs: number): Promise<UpgradeView> {
    const giver = createGiver(parts(), origin.formers, () => hangUps.newProcessListens(next.hangUp));
    try {
      cancelled.signal.throwIfAborted();
      const { version, given } = await give(next.channel, giver, {
        ...limits,
        ...{ kill: next.kill, now: systemClock.now, sleep, token },
      });
      const seconds = (systemClock.now() - beganMs) / 1000;
      const { version: before, generation } = identity;
      return {
        from: { version: before, pid: process.pid, generation },
        to: { version, pid: next.pid, generation: generation + 1 },
        ...{ connections: given, left: table.devices(), seconds },
      };
    } catch (error) {
      await next.kill();
      next.channel.close();
      giver.keepAll();
      throw error;
    }
  }

  function retire({ pid, line: keeperLine, channel }: Successor): void {
    phase.isAccepting = false;
    leave(others, origin);
    admin().leave();
    serviceManager.handedOver(pid);
    const proxy = new ProxyLine(channel.release());
    const isKeeper = keeperLine !== undefined && !serviceManager.isPresent;
    hangUps.replaced(isKeeper ? undefined : () => proxy.hangUp());
    onReplaced({ line: keeperLine, proxy });
  }

  async function replace(): Promise<UpgradeView> {
    await endOf(reloads, cancelled);
    phase.isUpgrading = true; // reloads are refused
    const beganMs = systemClock.now();
    log.info('upgrading: the program is started anew');
    successor = await startSuccessor({ node, line: line?.fd, isManaged: serviceManager.isPresent });
    const view = await handOver(successor, beganMs);
    const { to, connections, left, seconds } = view;
    const { pid, version } = to;
    log.info({ pid, version, connections, left, seconds }, 'upgraded: another process is the proxy');
    retire(successor);
    return view;
  }

  return {
    async run() {
      checkAvailable(engine.name, origin);
      if (underWay !== undefined || !phase.isAccepting) throw isBusy();
      cancelled = new AbortController();
      hangUps.upgradeBegins();
      underWay = replace();
      try {
        return await underWay;
      } catch (error) {
        phase.isUpgrading = false;
        const cause = messageOf(error);
        log.error({ cause }, 'upgrade failed: this process goes on');
        events.emit({ type: 'upgrade', at: new Date().toISOString(), result: 'failed', cause });
        throw new BreakwaterError('UPGRADE_FAILED', `the proxy goes on as it was: ${cause}`);
      } finally {
        underWay = undefined;
        successor = undefined;
        hangUps.upgradeEnds(!phase.isUpgrading);
      }
    },
    onReplaced(run) {
      onReplaced = run;
    },
    async cancel() {
      if (underWay === undefined) return;
      cancelled.abort(new Error('the proxy stops'));
      await successor?.kill();
      await underWay.catch(() => {});
    },
  };
}

/** What a reload changes goes over as it is then, and whoever asked for it gets what came of it. @throws Error where it is cancelled, or is late */
async function endOf(reloads: UpgradeParts['reloads'], cancelled: AbortController): Promise<void> {
  const late = () => cancelled.abort(new Error('a reload has not ended within a minute'));
  const inTime = runningTimeout(late, RELOAD_TIMEOUT_MS);
  await interruptible(reloads.idle(), cancelled.signal).finally(inTime);
}

/** @throws BreakwaterError UPGRADE_UNAVAILABLE where this proxy can never hand over */
function checkAvailable(engine: string, { isWholeProgram }: Pick<Origin, 'isWholeProgram'>): void {
  if (engine !== 'node' && isWholeProgram) return;
  const why =
    engine === 'node'
      ? 'connections are handed over by the engines epoll and uring only, which are for Linux; restart the proxy'
      : 'this proxy is part of another program, such as the demo; only what `breakwater start` runs is upgraded';
  throw new BreakwaterError('UPGRADE_UNAVAILABLE', why);
}

function isBusy(): BreakwaterError {
  const message = 'the proxy starts, stops or is upgraded already; wait for that';
  return new BreakwaterError('UPGRADE_UNDER_WAY', message);
}

/** Another process accepts devices, and goes on with drains and rebalances. */
function leave(
  { dataPlane, control }: Omit<GivenParts, 'admin'>,
  { line, formers }: UpgradeParts['origin'],
): void {
  line?.leave();
  formers.leave();
  dataPlane.threads.stopAccepting('leave');
  control.underWay.leave();
}

/** What this process has to hand over. @param onReady called when the new process is ready */
function createGiver(parts: GivenParts, formers: Formers, onReady: () => void): Giver & { keepAll(): void } {
  const { dataPlane, control, admin, common } = parts;
  const { threads, listeners } = dataPlane;
  const connections = createConnectionGiver(parts);
  return {
    state: () => ({ state: describeControl(parts), descriptors: formers.alive() }),
    async listeners() {
      onReady();
      const own = await listeners.listening();
      const { descriptor } = admin;
      const all = [
        ...own,
        { key: adminKey(common.current.config), descriptors: descriptor === undefined ? [] : [descriptor] },
      ];
      return {
        listeners: all.map(({ key, descriptors }) => ({ key, count: descriptors.length })),
        descriptors: all.flatMap(({ descriptors }) => descriptors),
      };
    },
    hold() {
      threads.hold(true);
      control.underWay.hold(true);
    },
    ...{ next: connections.next, given: connections.given, back: connections.back },
    async retire() {
      control.cluster.silence();
      return describeLast(parts, connections.unsaidOrders());
    },
    keepAll() {
      connections.keepAll();
      threads.hold(false);
      control.underWay.hold(false);
      void control.cluster.speak();
    },
  };
}
