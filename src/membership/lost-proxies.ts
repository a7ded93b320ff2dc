import type { Clock } from '../base/time.ts';
import type { LivingProxy } from './store/store.ts';

/** Proxies of the cluster that vanished without taking their leave. */

export interface LostProxy {
  readonly id: string;
  /** Milliseconds since 1970: its last heartbeat. */
  readonly sinceMs: number;
  /** Devices that it said last to have. */
  readonly connections: number;
}

interface LostProxyOptions {
  /** Milliseconds since 1970. */
  readonly clock: Clock;
  readonly heartbeatMs: number;
  readonly onLost: (proxy: LostProxy) => void;
  /** One that was lost is there again. */
  readonly onBack: (id: string) => void;
}

/** Who takes its leave was heard of just before; who is lost had missed a heartbeat already. */
const MISSED_HEARTBEATS = 1.5;
/** A store that comes back empty does not know proxies that live, until their next heartbeats. */
const SURE_HEARTBEATS = 2;
/** One that does not come back is remembered for so long, as many at a time. */
const KEEP_MS = 15 * 60_000;
const KEEP_MAX = 64;

type Vanished = LostProxy & { readonly vanishedMs: number; isTold: boolean };

export class LostProxies {
  private readonly options: LostProxyOptions;
  private living: readonly LivingProxy[] = [];
  private readonly vanished = new Map<string, Vanished>();

  constructor(options: LostProxyOptions) {
    this.options = options;
  }

  /** The oldest loss first. */
  list(): LostProxy[] {
    return [...this.vanished.values()].filter(({ isTold }) => isTold);
  }

  /** Told once a heartbeat, while the store answers. */
  update(living: readonly LivingProxy[]): void {
    const { clock, heartbeatMs } = this.options;
    const nowMs = clock.now();
    const ids = new Set(living.map(({ id }) => id));
    for (const { id, lastSeen, connections } of this.living) {
      const silentMs = lastSeen * 1000;
      if (ids.has(id) || silentMs < MISSED_HEARTBEATS * heartbeatMs) continue;
      const sinceMs = nowMs - silentMs;
      this.vanished.set(id, { id, sinceMs, connections, vanishedMs: nowMs, isTold: false });
      const [oldest = ''] = this.vanished.keys();
      if (this.vanished.size > KEEP_MAX) this.vanished.delete(oldest);
    }
    this.living = living;
    for (const proxy of this.vanished.values()) this.judge(proxy, ids.has(proxy.id), nowMs);
  }

  private judge(proxy: Vanished, isBack: boolean, nowMs: number): void {
    const { heartbeatMs, onLost, onBack } = this.options;
    const goneMs = nowMs - proxy.vanishedMs;
    if (isBack || goneMs > KEEP_MS) this.vanished.delete(proxy.id);
    if (isBack && proxy.isTold) onBack(proxy.id);
    if (isBack || proxy.isTold || goneMs < SURE_HEARTBEATS * heartbeatMs) return;
    proxy.isTold = true;
    onLost(proxy);
  }
}
