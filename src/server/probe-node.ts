import type { PoolConfig } from '../config/config.ts';
import type { CheckedNode, HealthOptions } from '../control/checker.ts';
import { probes } from '../health/index.ts';
import { probeTarget } from '../health/probe.ts';
import type { PoolTls } from './pool-tls.ts';

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
