import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { Device } from '../failover/device.ts';
import { doorOf, type Way } from '../failover/doors.ts';
import type { Watched, WatchOptions } from './watchers.ts';

/** The thread of `watchers.ts`: each device publishes to itself with QoS 0, one message at a time. */

const LOST_AFTER_MS = 10_000;
const AT_ONCE = 10;

const { ways, everyMs } = workerData as WatchOptions;
const violations: string[] = [];
let trips = 0;
let disconnects = 0;
let lost = 0;

class Watcher {
  longestMs = 0;
  readonly device: Device;
  private readonly topic: string;
  private sentAtMs = 0;
  private number = 0;
  private isUnderWay = false;

  constructor(way: Way, index: number) {
    const clientId = `watcher-${process.pid}-${threadId}-${index}`;
    this.topic = `upgrade/${clientId}`;
    this.device = new Device({
      ...{ clientId, doors: [doorOf(way)], clean: true, comesBack: true },
      ...{ protocolVersion: index % 2 === 0 ? 4 : 5, subscribeTo: this.topic },
      onMessage: (_topic, payload) => this.answered(Number(payload)),
      onDisconnect: () => disconnects++,
      onViolation: (what) => violations.push(`${clientId}: ${what}`),
    });
  }

  /** Of a round trip that goes on, the part until now counts. */
  note(): void {
    if (this.isUnderWay) this.longestMs = Math.max(this.longestMs, performance.now() - this.sentAtMs);
  }

  turn(): void {
    const forMs = performance.now() - this.sentAtMs;
    if (this.isUnderWay && forMs < LOST_AFTER_MS) return;
    if (this.isUnderWay) lost++;
    if (forMs < everyMs || !this.device.isConnected) return;
    this.isUnderWay = true;
    this.sentAtMs = performance.now();
    this.device.publish(this.topic, String(++this.number), 0, () => {});
  }

  private answered(number: number): void {
    if (number !== this.number) return;
    this.note();
    this.isUnderWay = false;
    trips++;
  }
}

const watchers = ways.map((way, index) => new Watcher(way, index));
const late = monitorEventLoopDelay({ resolution: 1 });

function report(): Watched {
  for (const watcher of watchers) watcher.note();
  const lateMs = Math.round(late.max / 1e5) / 10;
  const longestMs = watchers.map((watcher) => watcher.longestMs);
  return { longestMs, trips, lateMs, disconnects, lost, violations: violations.slice(0, 10) };
}

parentPort?.on('message', async (what: string) => {
  const seen = report();
  if (what === 'leave') await Promise.all(watchers.map(({ device }) => device.leave()));
  else {
    for (const watcher of watchers) watcher.longestMs = 0;
    trips = 0;
    late.reset();
  }
  parentPort?.postMessage(seen);
});

let next = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < watchers.length) await watchers[next++]?.device.start();
  }),
);
setInterval(() => {
  for (const watcher of watchers) watcher.turn();
}, 1);
late.enable();
parentPort?.postMessage(report());
