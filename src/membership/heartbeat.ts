import type { LivingProxy, MembershipStore, ProxyBeat } from './store/store.ts';

/** A proxy that has missed so many heartbeats is gone. */
export const LEASE_BEATS = 3;

interface HeartbeatOptions {
  readonly store: Pick<MembershipStore, 'beatProxy' | 'leaveProxy'>;
  readonly intervalMs: number;
  readonly beat: () => ProxyBeat;
  /** False: another process speaks for this proxy. */
  readonly speaks: () => boolean;
}

/** Writes a heartbeat once an interval, with the connections of this proxy. A store that is away reports itself. */
export class Heartbeat {
  private readonly options: HeartbeatOptions;
  private readonly timer: NodeJS.Timeout;
  private isBeating = false;

  /** It beats from now on, until `leave`. */
  constructor(options: HeartbeatOptions) {
    this.options = options;
    this.timer = setInterval(() => void this.beat(), options.intervalMs);
  }

  /** One beat more, such as the first: the others are to know of this proxy before it takes a device. */
  async beat(): Promise<void> {
    const { store, intervalMs, beat, speaks } = this.options;
    if (this.isBeating || !speaks()) return; // the store is slow: beats must not pile up
    this.isBeating = true;
    await store.beatProxy(beat(), LEASE_BEATS * intervalMs).catch(() => {});
    this.isBeating = false;
  }

  async leave(id: string): Promise<void> {
    clearInterval(this.timer);
    const { store, speaks } = this.options;
    if (speaks()) await store.leaveProxy(id).catch(() => {}); // its lease runs out by itself
  }
}

/** Live connections by node, summed over all proxies but one. */
export function connectionsElsewhere(proxies: readonly LivingProxy[], self: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { id, nodeConnections } of proxies) {
    if (id === self) continue;
    for (const [node, count] of nodeConnections) sums.set(node, (sums.get(node) ?? 0) + count);
  }
  return sums;
}
