import { setTimeout as sleep } from 'node:timers/promises';
import { Device } from './device.ts';
import type { Door } from './doors.ts';
import { type Account, type AckTimes, Ledger, type Qos } from './ledger.ts';

export interface CrowdOptions {
  /** How the device of this number connects, first and then in turn. */
  readonly doors: (index: number) => readonly Door[];
  readonly devices: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  /** Mixed over the devices. */
  readonly versions: readonly (4 | 5)[];
  /** Who receives a device's messages: the next device, or, where brokers share nothing, itself. */
  readonly subscriber: 'next' | 'self';
  readonly clean: boolean;
  readonly comesBack: boolean;
  /** See `DeviceOptions`. */
  readonly backAfterMs?: number;
}

/** What one device has seen; times by `performance.now()`, 0 for never. */
interface Seen {
  disconnects: number;
  /** When it was disconnected last. */
  lostAtMs: number;
  /** When the last message came, or it was connected again. */
  heardAtMs: number;
}

/** One device of the crowd, by its number. */
export interface Member extends Readonly<Seen> {
  readonly localPort: number;
  readonly isConnected: boolean;
}

export interface Crowd {
  /** @param isMeant of these publishers only, as far as messages are counted */
  readonly figures: (isMeant?: (index: number) => boolean) => CrowdFigures;
  members(): readonly Member[];
  /** Publishes at the given rate until `quieten`. */
  publish(): void;
  /** What is published from now on counts as later. */
  markLater(): void;
  /** See `Account.lostHalfway`. */
  markHalfway(): void;
  /** See `Ledger.ackTimes`; of all devices but these. */
  ackTimesBut(clientIds: ReadonlySet<string>, fromMs: number, toMs: number): AckTimes;
  /** Stops publishing, and waits until everything is acknowledged and received, or nothing has come for a while. */
  quieten(): Promise<void>;
  leave(): Promise<void>;
}

export interface CrowdFigures extends Account {
  readonly disconnects: number;
  /** CONNACKs that said no to devices that came back. */
  readonly refusals: number;
  /** From a disconnect to the next CONNACK, in milliseconds. */
  readonly awayMs: { readonly p50: number; readonly max: number };
  readonly unansweredPings: number;
  readonly violations: readonly string[];
}

const CONNECTING_AT_ONCE = 20;
const MAX_INFLIGHT = 8;
const TICK_MS = 20;
const PING_EVERY = 10;
/** Nothing more is waited for when nothing has come for so long. */
const QUIET_MS = 5_000;
const QOS: readonly Qos[] = [1, 2, 0];

export const willTopic = 'will';

/** So many devices, each of which publishes on its own topic, and receives the messages of one of them. */
export async function gather(options: CrowdOptions): Promise<Crowd> {
  const { doors, devices: count, rate, versions, subscriber, clean, comesBack, backAfterMs } = options;
  const run = Math.random().toString(36).slice(2, 8);
  const qosOf = (index: number) => QOS[index % QOS.length] as Qos;
  const subscriberOf = (index: number) => (subscriber === 'self' ? index : (index + 1) % count);
  const ledger = new Ledger(
    Array.from({ length: count }, (_, index) => ({ subscriber: subscriberOf(index), qos: qosOf(index) })),
  );
  const violations: string[] = [];
  const awayMs: number[] = [];
  const seen = Array.from({ length: count }, () => ({ disconnects: 0, lostAtMs: 0, heardAtMs: 0 }));
  let refusals = 0;
  let lastNewsMs = performance.now();

  const devices = seen.map((you, index) => {
    const clientId = `${run}-${index}`;
    return new Device({
      ...{ clientId, clean, comesBack, backAfterMs, doors: doors(index) },
      protocolVersion: versions[Math.floor(index / QOS.length) % versions.length] as 4 | 5,
      willTopic: `${willTopic}/${clientId}`,
      subscribeTo: topicOf(run, subscriber === 'self' ? index : (index + count - 1) % count),
      onMessage(_topic, payload) {
        lastNewsMs = you.heardAtMs = performance.now();
        const [publisher, sequence] = payload.split(' ').map(Number) as [number, number];
        if (subscriberOf(publisher) === index) ledger.received(publisher, sequence);
        else violations.push(`${clientId}: a message for another device: ${payload}`);
      },
      onDisconnect(why) {
        you.disconnects++;
        you.lostAtMs = performance.now();
        if (!comesBack) violations.push(`${clientId}: disconnected: ${why}`);
      },
      onReturn(afterMs) {
        awayMs.push(afterMs);
        you.heardAtMs = performance.now();
      },
      onRefusal: () => refusals++,
      onViolation: (what) => violations.push(`${clientId}: ${what}`),
    });
  });

  await startAll(devices);

  function speak(index: number, round: number): void {
    const device = devices[index];
    if (!device?.isConnected) return;
    if ((round + index) % PING_EVERY === 0) device.ping();
    if (device.inflight >= MAX_INFLIGHT) return;
    const sequence = ledger.published(index);
    const acknowledged = (afterMs: number) => {
      lastNewsMs = performance.now();
      ledger.acknowledged(index, sequence, afterMs);
    };
    device.publish(topicOf(run, index), `${index} ${sequence}`, qosOf(index), acknowledged);
  }

  const pace = paced(rate, (turn) => speak(turn % count, Math.floor(turn / count)));
  return {
    publish: pace.start,
    markLater: () => ledger.markLater(),
    markHalfway: () => ledger.markHalfway(devices.flatMap(({ halfway }) => halfway)),
    ackTimesBut: (clientIds, fromMs, toMs) =>
      ledger.ackTimes((publisher) => !clientIds.has(`${run}-${publisher}`), fromMs, toMs),
    async quieten() {
      pace.stop();
      lastNewsMs = performance.now();
      while (!ledger.isSettled && performance.now() - lastNewsMs < QUIET_MS) await sleep(50);
      await sleep(500); // for what should not come
    },
    members: () => devices.map((device, index) => memberOf(device, seen[index] as Seen)),
    figures: (isMeant) => ({
      disconnects: seen.reduce((sum, { disconnects }) => sum + disconnects, 0),
      refusals,
      awayMs: summaryOf(awayMs),
      ...ledger.account(isMeant),
      unansweredPings: devices.reduce((sum, device) => sum + device.unansweredPings, 0),
      violations: violations.slice(0, 20),
    }),
    async leave() {
      pace.stop();
      await Promise.all(devices.map((device) => device.leave()));
    },
  };
}

function memberOf({ localPort, isConnected }: Device, seen: Seen): Member {
  return { ...seen, localPort, isConnected };
}

/** Calls back so often a second between `start` and `stop`. */
function paced(rate: number, run: (turn: number) => void): { start(): void; stop(): void } {
  let turn = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      const startedAtMs = performance.now();
      const before = turn;
      timer = setInterval(() => {
        const due = before + ((performance.now() - startedAtMs) * rate) / 1000;
        for (; turn < due; turn++) run(turn);
      }, TICK_MS);
    },
    stop: () => clearInterval(timer),
  };
}

/** So many connect at one time. */
async function startAll(devices: readonly Device[]): Promise<void> {
  let next = 0;
  const startInTurn = async () => {
    while (next < devices.length) await devices[next++]?.start();
  };
  await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, startInTurn));
}

function summaryOf(times: readonly number[]): { p50: number; max: number } {
  const sorted = times.map(Math.round).sort((a, b) => a - b);
  return { p50: sorted[Math.ceil(sorted.length / 2) - 1] ?? 0, max: sorted.at(-1) ?? 0 };
}

function topicOf(run: string, publisher: number): string {
  return `failover/${run}/${publisher}`;
}
