import type { Backend, ProxyDrainView } from '../admin/backend.ts';
import type { PeerDepartures } from './peer-departures.ts';
import type { ProxyRebalancer } from './proxy-rebalancer.ts';

/** Seconds in which a drained proxy is not ready and nobody leaves: whoever balances before it has looked by then. */
const DEFAULT_DELAY = 5;

interface ProxyMovesParts {
  readonly peerDepartures: Pick<PeerDepartures, 'drain' | 'enable' | 'progress'>;
  readonly proxyRebalancer: Pick<ProxyRebalancer, 'start'>;
  /** The one under way, at whichever proxy. */
  readonly proxyRebalance: () => Promise<Awaited<ReturnType<Backend['proxyRebalanceProgress']>> | undefined>;
}

export type ProxyMoves = Pick<
  Backend,
  'drainProxy' | 'proxyDrainProgress' | 'enableProxy' | 'rebalanceProxies' | 'proxyRebalanceProgress'
>;

/** What people ask of devices that are to go to other proxies. */
export function createProxyMoves(parts: ProxyMovesParts): ProxyMoves {
  const { peerDepartures, proxyRebalancer } = parts;

  async function progress(proxy: string): Promise<ProxyDrainView> {
    const found = await peerDepartures.progress(proxy, { kind: 'drain' });
    if (found === null) return { ...nothing, proxy };
    const { state, moved, left, rate, pace } = found;
    const timeLeft = pace > 0 ? left / pace : undefined;
    return {
      ...{ proxy, moved, failed: 0, left, rate, pace, timeLeft },
      state: state === 'waiting' ? 'moving' : state,
    };
  }

  return {
    async drainProxy(proxy, { rate, within, delay = DEFAULT_DELAY }) {
      await peerDepartures.drain(proxy, { rate, within, delay });
      return progress(proxy);
    },
    proxyDrainProgress: progress,
    async enableProxy(proxy) {
      await peerDepartures.enable(proxy, {});
    },
    rebalanceProxies: async (request) => proxyRebalancer.start(request),
    async proxyRebalanceProgress() {
      const none = { ...nothing, proxies: [], tolerance: 0, spread: 0 };
      return (await parts.proxyRebalance()) ?? none;
    },
  };
}

const nothing = { state: 'off', moved: 0, failed: 0, left: 0, rate: 0, pace: 0 } as const;
