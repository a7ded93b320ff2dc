import type { HandedDevice, Listening } from '../data-plane-api/hand-over-messages.ts';
import type { Accepted, ListenerSettings, Report } from '../data-plane-api/messages.ts';
import { CLOSED, CONNECTION, OTHER } from '../engine/descriptors.ts';
import { descriptorsOf } from '../engine/handed-sockets.ts';
import type { Left } from './left-behind.ts';
import { orderAgain, type RecentOrders } from './recent-orders.ts';
import type { WorkerHandle } from './worker-handle.ts';

/**
 * Devices and listening sockets that outlive their thread, until another thread goes on with them:
 *
 *   left by a thread that dies ──keep──► waiting ──adopt──► another thread's
 *                                          └─ they cannot go on ──► ended, one after the other
 *
 * While they wait, their descriptors are noted nowhere. Whoever goes on with them notes them first, so that its own death would close them.
 */

/** So many stand still together at the thread that goes on with them. */
const BATCH = 64;
/** Takeovers that are noted while devices wait. Of those beyond, the devices hear nothing. */
const NEWS_MAX = 10_000;
/** The machine may be busy; a thread that takes longer is not waited for. */
const ADOPT_TIMEOUT_MS = 30_000;

type Adopted = Extract<Report, { type: 'adopted' }>;
type Thread = Pick<WorkerHandle, 'number' | 'ask' | 'tell' | 'note'>;
type Offering = Pick<WorkerHandle, 'offered'>;

/** What has become of some of the devices: they go on at the thread of this number, or (undefined) have ended. */
export type Settle = (devices: readonly HandedDevice[], thread: number | undefined) => void;

interface Group extends Pick<Left, 'listeners'> {
  /** Those that no thread was given. */
  readonly devices: HandedDevice[];
  readonly settle: Settle;
}

interface Waiting {
  readonly groups: Group[];
  listening: readonly Listening[];
  /** Of the listeners, when the sockets were left. */
  listeners: readonly ListenerSettings[];
  readonly takeovers: Accepted[];
  /** The number of the last order that all of them have heard. */
  heard: number;
}

interface SurvivorsParts {
  readonly orders: Pick<RecentOrders, 'answered' | 'since'>;
  /** As they are now. */
  readonly listeners: () => readonly ListenerSettings[];
  /** A thread that listens. */
  readonly living: () => Thread | undefined;
  /** Whether a thread is to come to that place, other than this one. */
  readonly isAwaited: (place: number, thread: Thread | undefined) => boolean;
  readonly refused: (why: string) => void;
  /** Listening sockets at once, connections one after the other. */
  readonly close: (listening: readonly number[], connections: readonly number[]) => void;
}

/** What threads that have died have left, by the place of the thread in its pool. */
export class Survivors {
  private readonly parts: SurvivorsParts;
  private readonly waiting = new Map<number, Waiting>();
  /** Devices that a thread is asked to go on with at this moment. */
  private asked = 0;
  /** What is to become of what threads had offered that have died. */
  private readonly offers = new Map<Offering, Settle>();

  constructor(parts: SurvivorsParts) {
    this.parts = parts;
  }

  /** They wait for the next thread at that place. */
  keep(place: number, { devices, listening, listeners }: Left, settle: Settle): void {
    this.release(place);
    const waiting = this.waitingAt(place, this.parts.orders.answered);
    if (devices.length > 0) waiting.groups.push({ devices: [...devices], listeners, settle });
    waiting.listening = listening;
    waiting.listeners = listeners;
  }

  private waitingAt(place: number, heard: number): Waiting {
    const known = this.waiting.get(place);
    if (known !== undefined) {
      known.heard = Math.min(known.heard, heard);
      return known;
    }
    const listeners = this.parts.listeners();
    const waiting = { groups: [], listening: [], listeners, takeovers: [], heard };
    this.waiting.set(place, waiting);
    return waiting;
  }

  /** A thread has died while another process was asked to take some of its connections. */
  offer(thread: Offering, settle: Settle): void {
    if (thread.offered.length > 0) this.offers.set(thread, settle);
  }

  /**
   * The other process has them, but those at these places, which wait here. False: that thread has not died.
   * @param heard the number of the last order before they stood still
   */
  given(place: number, thread: Offering, kept: readonly number[] | 'all', heard: number): boolean {
    const settle = this.offers.get(thread);
    if (settle === undefined) return false;
    this.offers.delete(thread);
    const { offered } = thread;
    const places = new Set(kept === 'all' ? offered.keys() : kept);
    const gone = offered.filter((_, at) => !places.has(at));
    for (const { sockets } of gone) {
      wipe(sockets);
      this.parts.close(descriptorsOf(sockets), []); // at once: for the other process they stay open
    }
    if (gone.length > 0) settle(gone, undefined);
    const devices = offered.filter((_, at) => places.has(at));
    if (devices.length === 0) return true;
    const listeners = this.parts.listeners();
    this.waitingAt(place, heard).groups.push({ devices, listeners, settle });
    return true;
  }

  /** They wait for the next thread at that place, if it comes soon; else another has them. Or nobody, as where none may. */
  settle(place: number, mayGoOn: boolean, comesSoon: boolean): void {
    if (!mayGoOn) return this.end(place);
    if (comesSoon) return;
    const other = this.parts.living();
    if (other !== undefined) void this.adopt(place, other);
    else if (!this.parts.isAwaited(place, other)) this.end(place);
  }

  /** No thread is started any more: what waits where none comes does not wait any longer. */
  noneIsStarted(comes: (place: number) => boolean): void {
    for (const place of [...this.waiting.keys()]) if (!comes(place)) this.settle(place, true, false);
  }

  /** Nobody takes them. */
  end(place: number): void {
    this.release(place);
    const waiting = this.waiting.get(place);
    this.waiting.delete(place);
    for (const group of waiting?.groups ?? []) this.endSome(group.devices, group.settle);
  }

  /** No thread will take any. @param left what another thread has left that died meanwhile */
  endAll(left?: Left): void {
    if (left !== undefined) this.keep(Number.NaN, left, () => undefined);
    for (const place of [...this.waiting.keys()]) this.end(place);
  }

  /** What listens is closed. */
  private release(place: number): void {
    const waiting = this.waiting.get(place);
    if (waiting === undefined) return;
    this.parts.close(
      waiting.listening.flatMap(({ descriptors }) => descriptors),
      [],
    );
    waiting.listening = [];
  }

  private endSome(devices: readonly HandedDevice[], settle: Settle): void {
    if (devices.length === 0) return;
    for (const { sockets } of devices) wipe(sockets);
    this.parts.close(
      [],
      devices.flatMap(({ sockets }) => descriptorsOf(sockets)),
    );
    settle(devices, undefined);
  }

  /** How the next thread at that place binds: at the sockets of the last one, where these are still there. */
  inherit(place: number, thread: Thread, settings: readonly ListenerSettings[]): readonly ListenerSettings[] {
    const waiting = this.waiting.get(place);
    if (waiting === undefined) return settings;
    const own = waiting.listening.filter(({ index }) => isSame(waiting.listeners, settings, index));
    waiting.listening = waiting.listening.filter((each) => !own.includes(each));
    this.release(place);
    const sockets = new Map(own.map(({ index, descriptors }) => [index, descriptors]));
    for (const descriptors of sockets.values()) thread.note(descriptors, OTHER);
    return settings.map((each) => ({ ...each, inherited: sockets.get(each.index) }));
  }

  /** The broker has accepted a newer connection of a device; `place`: those that wait there are meant. */
  superseded(accepted: Accepted, place?: number): void {
    for (const [at, { takeovers }] of this.waiting)
      if ((place === undefined || place === at) && takeovers.length < NEWS_MAX) takeovers.push(accepted);
  }

  /** How many stand still. */
  get count(): number {
    let count = this.asked;
    for (const { groups } of this.waiting.values()) for (const { devices } of groups) count += devices.length;
    return count;
  }

  /** Those that wait at that place. */
  at(place: number): readonly HandedDevice[] {
    return (this.waiting.get(place)?.groups ?? []).flatMap(({ devices }) => devices);
  }

  /**
   * The thread, which listens, goes on with all that wait at that place. Where it dies meanwhile, the rest waits for the next thread there;
   * where none comes, or this one does not answer, another thread that lives has them, or nobody.
   */
  async adopt(place: number, thread: Thread): Promise<void> {
    this.release(place);
    const waiting = this.waiting.get(place);
    if (waiting === undefined) return;
    const { groups, takeovers } = waiting;
    for (let group = groups[0]; group !== undefined; group = groups[0]) {
      const batch = group.devices.splice(0, BATCH);
      if (group.devices.length === 0) groups.shift();
      if (await this.give(this.known(batch, group), thread, group.settle)) continue;
      if (this.parts.isAwaited(place, thread)) return;
      const other = this.parts.living();
      return other === undefined || other === thread ? this.end(place) : this.adopt(place, other);
    }
    this.waiting.delete(place);
    for (const accepted of takeovers) thread.tell({ type: 'superseded', ...accepted });
    orderAgain([thread], this.parts.orders.since(waiting.heard));
  }

  /** Without those whose listener is gone. */
  private known(devices: readonly HandedDevice[], { listeners, settle }: Group): readonly HandedDevice[] {
    const present = this.parts.listeners();
    const isKnown = ({ listener }: HandedDevice): boolean => isSame(listeners, present, listener);
    this.endSome(
      devices.filter((device) => !isKnown(device)),
      settle,
    );
    return devices.filter(isKnown);
  }

  /** False: the thread has died, and what it was given ends with it. */
  private async give(devices: readonly HandedDevice[], thread: Thread, settle: Settle): Promise<boolean> {
    this.asked += devices.length;
    for (const { sockets } of devices) thread.note(descriptorsOf(sockets), CONNECTION);
    try {
      const asked = thread.ask<Adopted>(
        (request) => ({ type: 'adopt', request, devices, ofDead: true }),
        ADOPT_TIMEOUT_MS,
      );
      for (const { sockets } of devices) wipe(sockets);
      const { refused } = await asked;
      const places = new Set(refused.map(({ at }) => at));
      const back = devices.filter((_, at) => places.has(at));
      for (const { why } of refused) this.parts.refused(why);
      for (const { sockets } of back) thread.note(descriptorsOf(sockets), CLOSED);
      settle(
        devices.filter((_, at) => !places.has(at)),
        thread.number,
      );
      this.endSome(back, settle);
      return true;
    } catch {
      settle(devices, undefined);
      return false;
    } finally {
      thread.tell({ type: 'begin' });
      this.asked -= devices.length;
      this.endGone(devices, thread);
    }
  }

  /** Whoever ended the devices of a listener that is gone by now did not reach those. */
  private endGone(devices: readonly HandedDevice[], thread: Thread): void {
    const present = new Set(this.parts.listeners().map(({ index }) => index));
    const gone = new Set(devices.map(({ listener }) => listener).filter((index) => !present.has(index)));
    for (const listener of gone) thread.tell({ type: 'endAll', reason: 'listener-removed', listener });
  }
}

/** Is the listener of that index the one that it was? */
function isSame(
  before: readonly ListenerSettings[],
  now: readonly ListenerSettings[],
  index: number,
): boolean {
  const [was, is] = [before, now].map((some) => some.find((each) => each.index === index));
  return was !== undefined && is !== undefined && was.url === is.url;
}

/** The keys of TLS; whoever goes on with the connection has its own copy. */
function wipe({ device, links }: HandedDevice['sockets']): void {
  for (const { tls } of [device, ...links]) tls?.fill(0);
}
