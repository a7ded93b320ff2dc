import type { ProxyState } from '../membership/store/store.ts';

/** What this proxy does at present. */
export interface Phase {
  /** Neither the start nor the end is under way. */
  isAccepting: boolean;
  isStopping: boolean;
  /** A person has taken it out: it is not ready, and its devices leave. Its listeners stay open. */
  isDraining: boolean;
  /** Another process is to take its place, or has. */
  isUpgrading: boolean;
}

export function createPhase(isDraining = false): Phase {
  return { isAccepting: false, isStopping: false, isDraining, isUpgrading: false };
}

/** As the other proxies of the cluster, and people, see it. */
export function proxyStateOf({ isAccepting, isStopping, isDraining }: Phase): ProxyState {
  if (isStopping) return 'stopping';
  if (!isAccepting) return 'starting';
  return isDraining ? 'draining' : 'enabled';
}
