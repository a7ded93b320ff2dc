/** Runs the demonstration: brokers, a proxy and devices in one process. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { BreakwaterEvent, NodeView } from '../../admin/backend.ts';
import type { Config } from '../../config/config.ts';
import { parseConfig } from '../../config/load.ts';
import { partOfProgram } from '../../proxy/origin.ts';
import { startProxy } from '../../proxy/proxy.ts';
import { type AdminClient, createAdminClient } from '../admin-client.ts';
import { readEvents, type ToldEvent } from '../event-stream.ts';
import { LiveLine } from '../output/live-line.ts';
import { nodeColumns } from '../output/node-table.ts';
import { formatTable, wantsColour } from '../output/table.ts';
import { untilStopped } from '../signals.ts';
import { tellActivity } from './activity.ts';
import { type DemoBroker, DemoBrokers, killCommand } from './demo-brokers.ts';
import { DemoDevices, describeDevices } from './demo-devices.ts';

export interface DemoOptions {
  /** Embedded broker nodes. */
  readonly brokers: number;
  /** Devices that publish and subscribe; 0 for none. */
  readonly devices: number;
  /** Default `mqtt://127.0.0.1:1883`. */
  readonly listen?: string;
  /** Default `http://127.0.0.1:9883`. */
  readonly admin?: string;
  readonly strategy?: string;
}

/** Between two looks at what happened. */
const LOOK_MS = 1_000;
/** Longest wait for the first probes, and the time between two looks. */
const PROBED_MS = 5_000;
const PROBED_LOOK_MS = 50;
/** Events that may wait for the next look; more are not shown. */
const MAX_WAITING_EVENTS = 10_000;

/** `breakwater demo`, which `npm start` runs: a whole cluster on this machine, until Ctrl-C. Resolves to the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const screen = new LiveLine(process.stdout, () => performance.now());
  const brokers = new DemoBrokers((line) => screen.print(line));
  try {
    const started = await brokers.start(options.brokers);
    const config = demoConfig(options, started);
    const server = await startProxy(config, undefined, undefined, partOfProgram);
    const url = server.addresses[0]?.url ?? '';
    const admin = createAdminClient({
      admin: server.adminUrl,
      ...(config.admin.token !== undefined && { token: config.admin.token }),
    });
    console.log(welcome(url, server.adminUrl, await probedNodes(admin), started));

    const devices = options.devices > 0 ? new DemoDevices(url, options.devices) : undefined;
    const ending = new AbortController();
    const watched = [
      tellEvents(screen, readEvents(admin, ending.signal), ending.signal),
      devices && showDevices(screen, admin, devices, ending.signal),
    ];
    let ended: Promise<void> | undefined;
    const stop = async () => {
      ending.abort();
      await Promise.all(watched);
      screen.end();
      console.log('stopping; Ctrl-C once more stops at once');
      await devices?.stop();
      await server.stop();
    };
    const stopOnce = () => (ended ??= stop());
    const { closed } = server;
    return await untilStopped({ closed, stop: stopOnce, abort: () => server.abort() }).finally(stopOnce);
  } finally {
    await brokers.stop();
  }
}

function demoConfig(options: DemoOptions, brokers: readonly DemoBroker[]): Config {
  // What happens is told on the screen, many devices in one line; the log keeps to what nobody expects.
  const file = `
    log: { level: error, format: pretty }
    limits: { shutdownGrace: 1 }
    pools: { default: { health: { interval: 2 } } }
  `;
  return parseConfig(file, 'demo', {
    listen: [options.listen ?? 'mqtt://127.0.0.1:1883'],
    admin: options.admin ?? 'http://127.0.0.1:9883',
    node: brokers.map((broker) => `${broker.url},id=${broker.id}`),
    ...(options.strategy !== undefined && { strategy: options.strategy }),
    ...(process.env.BREAKWATER_TOKEN && { adminToken: process.env.BREAKWATER_TOKEN }),
  });
}

/** The nodes, when the first probe of each has been answered; after a while, as they are. */
async function probedNodes(admin: AdminClient): Promise<NodeView[]> {
  const untilMs = performance.now() + PROBED_MS;
  for (;;) {
    const nodes = await admin.get<NodeView[]>('nodes');
    if (nodes.every(({ health }) => health !== 'unknown') || performance.now() > untilMs) return nodes;
    await sleep(PROBED_LOOK_MS);
  }
}

function welcome(
  url: string,
  adminUrl: string,
  nodes: readonly NodeView[],
  brokers: readonly DemoBroker[],
): string {
  const { hostname, port } = new URL(url);
  const at = `-h ${hostname.replace(/^\[|\]$/g, '')} -p ${port}`;
  const lines = [
    `cluster address   ${url}`,
    `dashboard, API    ${adminUrl}`,
    '',
    ...formatTable(nodeColumns, nodes, wantsColour()).split('\n'),
    '',
    'Try, in two other terminals:',
    `  mosquitto_sub ${at} -i watcher -c -q 1 -t 'demo/#' -v`,
    `  while sleep 1; do date; done | mosquitto_pub ${at} -i clock -q 1 -t demo/clock -l`,
    '',
    'Then kill a broker; each is a process of its own. Both stay connected, and no message is lost:',
    ...brokers.map(({ id, pid }) => `  ${killCommand(pid)}   # ${id}`),
    '',
    'Ctrl-C stops all of it.',
  ];
  return `\n${lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')}\n`;
}

/** Prints once a second what happened, until the signal aborts. */
async function tellEvents(
  screen: LiveLine,
  events: AsyncIterable<ToldEvent>,
  signal: AbortSignal,
): Promise<void> {
  const waiting: BreakwaterEvent[] = [];
  const reading = (async () => {
    for await (const { event } of events) {
      if (waiting.length < MAX_WAITING_EVENTS) waiting.push(event);
    }
  })().catch(() => {}); // ends with the server, or with the signal
  while (!signal.aborted) {
    await pause(signal);
    for (const line of tellActivity(waiting.splice(0))) screen.print(line);
  }
  await reading;
}

/** Keeps the live line of the demo's own devices, until the signal aborts. */
async function showDevices(
  screen: LiveLine,
  admin: AdminClient,
  devices: DemoDevices,
  signal: AbortSignal,
): Promise<void> {
  let before = devices.counts();
  let beforeMs = performance.now();
  for (;;) {
    await pause(signal);
    const nodes = await admin.get<NodeView[]>('nodes').catch(() => []);
    if (signal.aborted) return;
    const now = devices.counts();
    const nowMs = performance.now();
    screen.update(describeDevices(now, before, (nowMs - beforeMs) / 1000, nodes));
    before = now;
    beforeMs = nowMs;
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_MS, undefined, { signal }).catch(() => {}); // the signal ends it early
}
