/** Runs one embedded broker, which may register itself in a cluster. */

import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type BrokerOptions, startBroker } from '../../../cluster/broker.ts';
import { redisCluster } from '../../../cluster/over-redis.ts';
import { BreakwaterError, messageOf } from '../../base/errors.ts';
import { print, printError } from '../output/print.ts';
import { aborted, watchSignals } from '../signals.ts';
import { advertisedUrl } from './advertise.ts';
import { beMember } from './member.ts';
import type { NodeOptions } from './registration-options.ts';

export interface BrokerCommandOptions extends NodeOptions {
  /** `mqtt://host:port`; port 0 lets the system choose. */
  readonly listen: string;
  /** Brokers that name the same Redis share sessions and messages. Absent: this broker stands alone. */
  readonly redis?: string;
  /** Cluster of proxies that this broker registers with, in that Redis. */
  readonly join?: string;
  /** `mqtt://host:port` that proxies dial. */
  readonly advertise?: string;
}

/** Between two attempts to reach a Redis that is away at the start. */
const REDIS_RETRY_MS = 1_000;

/** `breakwater broker`: one broker node, until SIGTERM or SIGINT. Resolves to the exit code. */
export async function runBroker(options: BrokerCommandOptions): Promise<number> {
  const { listen, redis, join } = options;
  const { host, port } = parseListen(listen);
  const leaving = watchSignals();
  const cluster = redis === undefined ? undefined : redisCluster(redis, reportStore());
  const id = options.id ?? `${hostname()}-${process.pid}`;
  const broker = await startPatiently({ host, port, id, ...(cluster && { cluster }) }, leaving.asked);
  if (broker === undefined) return 0;
  try {
    const company = redis === undefined ? 'stands alone' : 'shares its sessions over Redis';
    print(`broker listens on ${broker.url} (MQTT 3.1 and 3.1.1) and ${company}; Ctrl-C stops it`);
    if (join === undefined || redis === undefined) await aborted(leaving.asked);
    else {
      const url = options.advertise ?? (await advertisedUrl(host, broker.port));
      const isEmpty = () => broker.clients().length === 0;
      await beMember({ ...options, redis, cluster: join, url, isEmpty }, leaving);
    }
  } finally {
    await broker.stop();
  }
  return 0;
}

/**
 * Sessions are in Redis: without it no device could be served, so the port is opened when Redis answers.
 * @returns undefined when a signal came first
 */
async function startPatiently(options: BrokerOptions, asked: AbortSignal): Promise<Broker | undefined> {
  for (let attempt = 0; !asked.aborted; attempt++) {
    try {
      return await startBroker(options);
    } catch (error) {
      if (!(error instanceof BreakwaterError && error.code === 'STORE_UNAVAILABLE')) throw error;
      if (attempt === 0) printError(`broker: ${error.message}; it is tried again until it answers`);
      await sleep(REDIS_RETRY_MS, undefined, { signal: asked }).catch(() => {});
    }
  }
  return undefined;
}

function parseListen(listen: string): { host: string; port: number } {
  const url = URL.canParse(listen) ? new URL(listen) : undefined;
  if (url?.protocol !== 'mqtt:' || url.hostname === '') {
    throw new BreakwaterError('USAGE', `--listen ${listen} is not an address; write mqtt://127.0.0.1:1884`);
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 1883 : Number(url.port) };
}

/** One line for an outage, not one for every attempt to reconnect. */
function reportStore(): (error: unknown) => void {
  let last = '';
  return (error) => {
    const message = messageOf(error);
    if (message !== last) printError(`broker: Redis: ${message}`);
    last = message;
  };
}
