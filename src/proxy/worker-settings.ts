import type { WorkerSettings } from '../data-plane-api/messages.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import { createDescriptorBound } from './descriptors.ts';
import type { MembershipParts } from './membership-parts.ts';
import type { NodeParts } from './node-parts.ts';

/** What the data threads go by: made of the configuration that is current, the cluster's keys and the files of TLS. */
export function createWorkerSettings(
  { current, pools, identity, poolNumbers, log, events }: Common,
  { threads, poolTls }: DataPlaneParts,
  { nodes }: NodeParts,
  { store, keys }: MembershipParts,
) {
  const descriptors = createDescriptorBound(log, () => ({
    threads: identity.threads,
    listeners: current.config.listeners.length,
    nodes: nodes.list().length,
  }));

  function make(): WorkerSettings {
    const { limits, listeners, rules, membership, log } = current.config;
    const arranged = poolNumbers.arrange(pools().map((pool) => keys.withCookieKey(pool)));
    return {
      limits: descriptors.bound(limits),
      pools: arranged,
      upstreamTls: arranged.map((pool) => pool && poolTls.of(pool.name)),
      rules,
      followsSessions: [...listeners, ...rules].some(({ mode }) => mode === 'session'),
      recallTimeoutMs: membership.recallTimeoutMs,
      isShared: store.kind === 'redis',
      tellsRequests: log.level === 'debug',
    };
  }

  /**
   * Single devices are told of where somebody reads it, in the log or in the events; their history is made of the same. It
   * is not worth a third of what a connect costs to whoever has asked for a quiet log.
   */
  function setVerbosity(): void {
    const isLogged = ['debug', 'info'].includes(current.config.log.level);
    threads.setVerbose(isLogged || events.hasAudience());
  }

  keys.onCookieKeys(() => void threads.applySettings(make(), []).catch(() => {}));
  events.onAudience(setVerbosity);
  setVerbosity();
  return { make, setVerbosity, descriptorShortage: descriptors.shortage };
}
