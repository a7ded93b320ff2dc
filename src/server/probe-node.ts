import type { PoolConfig } from '../config/config.ts';
import type { CheckedNode, HealthOptions } from '../control/checker.ts';
import { type Finding, lookForLife, probes } from '../health/index.ts';
import { probeTarget } from '../health/probe.ts';
import { speaksMqtt } from '../nodes/url.ts';
import type { PoolTls } from './pool-tls.ts';

/** For a node to show that it lives: a sign of life costs a broker next to nothing, and sessions wait for the answer. */
const LIFE_TIMEOUT_MS = 1_000;

/** Probes a node as its pool dials it: with its TLS, and behind its PROXY protocol header. */
export function probeNode(
  node: CheckedNode,
  { name, upstream }: PoolConfig,
  tls: PoolTls,
  health: HealthOptions,
  signal: AbortSignal,
): Promise<void> {
  const target = probeTarget(node, health.path, upstream.proxyProtocol, tls.of(name));
  return probes[health.probe](target, { timeoutMs: health.timeoutMs, signal });
}

/**
 * Whether the node itself lives, whatever its pool's probe is and wherever that goes: a process that is stopped passes
 * `tcp`, and a status page may be another process's.
 * @param address IP literal, so that no resolver is waited for; undefined: the host as it is declared
 */
export async function lookAtNode(
  { id, url }: Pick<CheckedNode, 'id' | 'url'>,
  { name, upstream }: PoolConfig,
  tls: PoolTls,
  address: string | undefined,
): Promise<Finding> {
  const target = probeTarget({ id, url }, '/', upstream.proxyProtocol, tls.of(name));
  return lookForLife({ ...target, host: address ?? target.host }, speaksMqtt(url), LIFE_TIMEOUT_MS);
}
