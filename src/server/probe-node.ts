import type { PoolConfig } from '../config/config.ts';
import type { CheckedNode, HealthOptions } from '../control/checker.ts';
import type { Finding } from '../control/node-losses.ts';
import { BreakwaterError } from '../errors.ts';
import { lifeProbe, probes, tcpProbe } from '../health/index.ts';
import { probeTarget, reasonOf } from '../health/probe.ts';
import { speaksMqtt } from '../nodes/url.ts';
import type { PoolTls } from './pool-tls.ts';

/** For a node to show that it lives: a sign of life costs a broker next to nothing, and sessions wait for the answer. */
const LIFE_TIMEOUT_MS = 1_000;
/** The machine of the proxy has no descriptor, port or memory left: nothing is known of the node. */
const LOCAL: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

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
export async function lookForLife(
  { id, url }: Pick<CheckedNode, 'id' | 'url'>,
  { name, upstream }: PoolConfig,
  tls: PoolTls,
  address: string | undefined,
): Promise<Finding> {
  const target = probeTarget({ id, url }, '/', upstream.proxyProtocol, tls.of(name));
  const probe = speaksMqtt(url) ? lifeProbe : tcpProbe;
  try {
    await probe({ ...target, host: address ?? target.host }, { timeoutMs: LIFE_TIMEOUT_MS });
    return { kind: 'lives' };
  } catch (error) {
    const detail = error instanceof BreakwaterError ? reasonOf(error) : String(error);
    if (LOCAL.has(detail)) return { kind: 'unknown', detail };
    return { kind: 'gone', evidence: detail === 'ECONNREFUSED' ? 'refused' : 'no-answer', detail };
  }
}
