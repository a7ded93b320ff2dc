import { closeSync } from 'node:fs';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import { readHanded } from '../base/read-handed.ts';
import { version } from '../base/version.ts';
import type { Config } from '../config/config.ts';
import { openDescriptorSocket } from '../engine/linux/descriptor-socket.ts';
import { type Channel, openChannel } from '../handover/channel.ts';
import { type FromNew, type FromOld, fromNew, fromOld } from '../handover/protocol.ts';
import { greet, takeConnections, takeListeners, takenOver } from '../handover/take.ts';
import { type ControlState, controlState, lastWords } from './control-state.ts';
import { fixedParts, restoreLast } from './describe-control.ts';
import { Formers } from './formers.ts';
import { HAND_OVER_FD, HAND_OVER_VARIABLE, type KeeperLine, openKeeperLine } from './keeper.ts';
import { adminKey, fromNothing, type Inherited, type Origin } from './origin.ts';
import type { RunningParts } from './running-parts.ts';
import { createConnectionTaker } from './take-connections.ts';
import { token } from './token.ts';

/** The start of a process that an older one has started to take its place. */
interface TakeOver extends Origin {
  /** To the process that was started first. */
  readonly line: KeeperLine;
  /** @throws BreakwaterError CONFIG_INVALID where something differs that no upgrade can change */
  check(config: Config): void;
  /** The start has failed: the older process is told why, and goes on. */
  abort(error: unknown): Promise<void>;
}

type Old = Channel<FromNew, FromOld>;

/**
 * For a process whose environment has `HAND_OVER_VARIABLE`.
 * @throws HandOverError where the older process refuses, BreakwaterError HANDOVER_INVALID where it cannot be understood
 */
export async function openTakeOver(): Promise<TakeOver> {
  delete process.env[HAND_OVER_VARIABLE];
  const line = openKeeperLine();
  const channel: Old = openChannel(openDescriptorSocket(HAND_OVER_FD), fromOld, fromNew);
  const greeted = await greet(channel, { version: version() });
  const why = (error: unknown): string => messageOf(error).slice(0, 2_000);
  const abort = (error: unknown): Promise<void> =>
    channel.say({ type: 'abort', why: why(error) }).catch(() => {}); // it is gone: nobody need be told
  if (greeted === undefined) return { ...fromNothing, line, abort, check() {} };
  let state: ControlState;
  try {
    state = readHanded(controlState, greeted.state, 'the state');
  } catch (error) {
    await abort(error);
    throw error;
  }
  return {
    ...takenOrigin(channel, state, greeted.descriptors, abort),
    line,
    abort,
    check: (config) => checkFixed(state, config),
  };
}

function checkFixed({ fixed }: ControlState, config: Config): void {
  const other = Object.entries(fixedParts(config)).filter(([name, value]) => fixed[name] !== value);
  if (other.length === 0) return;
  const names = other.map(([name]) => name).join(', ');
  throw new BreakwaterError('CONFIG_INVALID', `an upgrade cannot change ${names}; restart the proxy`);
}

function takenOrigin(
  channel: Old,
  state: ControlState,
  older: readonly number[],
  abort: TakeOver['abort'],
): Omit<Origin, 'line'> {
  const formers = new Formers(older);
  let inherited: Inherited = new Map();
  let openAdmin = async (_?: number): Promise<void> => {};

  async function take(parts: RunningParts): Promise<void> {
    const { config } = parts.common.current;
    closeOthers(inherited, parts);
    const last = await takeConnections(channel, createConnectionTaker(parts), token);
    if (last !== undefined) await heed(last.state, parts);
    parts.common.events.release();
    parts.control.underWay.hold(false);
    const spoken = parts.control.cluster.speak(); // a store that is slow keeps the older process from nothing
    const { version, generation } = parts.common.identity;
    const cause = `version ${version} runs, process ${process.pid}, generation ${generation}`;
    parts.common.events.emit({ type: 'upgrade', at: new Date().toISOString(), result: 'ok', cause });
    await openAdmin(inherited.get(adminKey(config))?.[0]);
    await takenOver(channel);
    formers.add(channel.release());
    await spoken;
  }

  return {
    ...{ state, formers, isWholeProgram: true },
    async listeners() {
      const { listeners, descriptors } = await takeListeners(channel);
      let at = 0;
      inherited = new Map(
        listeners.map(({ key, count }) => {
          at += count;
          return [key, descriptors.slice(at - count, at)];
        }),
      );
      return inherited;
    },
    async openAdmin(open) {
      openAdmin = open;
    },
    async settle(parts) {
      try {
        await take(parts);
      } catch (error) {
        parts.common.log.error({ cause: messageOf(error) }, 'not taken over: the older process goes on');
        await abort(error);
        die();
      }
    },
  };
}

/** The connections are this process's by now: what it cannot read of the rest is no reason to end them. */
async function heed(state: unknown, parts: RunningParts): Promise<void> {
  try {
    await restoreLast(readHanded(lastWords, state, 'the last word'), parts);
  } catch (error) {
    const cause = messageOf(error);
    parts.common.log.error({ cause }, 'counters, events and incidents of the older process are lost');
  }
}

/** Listening sockets that the configuration has no listener for any more: who connects there shall not wait for ever. */
function closeOthers(inherited: Inherited, { common, dataPlane }: RunningParts): void {
  const admin = adminKey(common.current.config);
  for (const [key, descriptors] of inherited) {
    if (key !== admin && dataPlane.listeners.indexOf(key) === undefined) descriptors.forEach(closeSync);
  }
}

/**
 * The older process has all connections that this one has been given and not begun. An end in order would end them, with a word
 * to the devices; this one leaves them alone.
 */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
}
