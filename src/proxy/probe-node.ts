import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { PoolConfig } from '../config/config.ts';
import type { CheckedNode, HealthOptions } from '../health/checker.ts';
import { type Finding, lookForLife, probes } from '../health/index.ts';
import { probeTarget } from '../health/probe.ts';
import { resolveHost } from '../membership/discovery/resolve.ts';
import { NodeAddresses } from '../nodes/addresses.ts';
import { speaksMqtt } from '../nodes/url.ts';
import type { PoolTls } from './pool-tls.ts';

/** How long a node has for a sign of life, which costs a broker next to nothing. Sessions wait for the answer. */
const LIFE_TIMEOUT_MS = 1_000;

/** How a host is reached: what nodes are dialled at, or undefined where no node has it, or it does not resolve. */
export type AddressesAt = (host: string) => NodeAddresses | undefined;

/** Probes a node as its pool dials it: at its addresses, with its TLS, and behind its PROXY protocol header. */
export async function probeNode(
  node: CheckedNode,
  { name, upstream }: PoolConfig,
  tls: PoolTls,
  health: HealthOptions,
  signal: AbortSignal,
  addressesAt: AddressesAt,
): Promise<void> {
  const target = probeTarget(node, health.path, upstream.proxyProtocol, tls.of(name));
  const addresses = addressesAt(target.host) ?? (await resolved(target.host));
  await probes[health.probe]({ ...target, addresses }, { timeoutMs: health.timeoutMs, signal });
}

/** @throws BreakwaterError PROBE_FAILED, as probes give it */
async function resolved(host: string): Promise<NodeAddresses> {
  try {
    return new NodeAddresses(await resolveHost(host));
  } catch (error) {
    const cause = new Error(messageOf(error));
    throw new BreakwaterError('PROBE_FAILED', cause.message, { cause });
  }
}

/**
 * Whether the node itself lives, whatever its pool's probe is and wherever that goes: a process that is stopped passes
 * `tcp`, and a status page may be another process's. No resolver is waited for.
 */
export async function lookAtNode(
  { id, url }: Pick<CheckedNode, 'id' | 'url'>,
  { name, upstream }: PoolConfig,
  tls: PoolTls,
  addressesAt: AddressesAt,
): Promise<Finding> {
  const target = probeTarget({ id, url }, '/', upstream.proxyProtocol, tls.of(name));
  const addresses = addressesAt(target.host);
  if (addresses === undefined) return { kind: 'unknown', detail: 'its name does not resolve' };
  return lookForLife({ ...target, addresses }, speaksMqtt(url), LIFE_TIMEOUT_MS);
}
