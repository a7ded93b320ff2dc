/** What a configuration of the stage holds. */
interface Base {
  readonly listeners: readonly object[];
  readonly pools: { readonly default: object };
}

const strategies = ['least-connections', 'round-robin', 'client-id-hash', 'source-hash'] as const;
/** Ports of loopback addresses that nothing else is at. */
const OTHER_ADDRESSES = ['mqtt://127.0.0.7:0', 'mqtt://[::1]:0', 'ws://127.0.0.8:0'];

/**
 * The configuration of this turn: other listeners beside the first, another strategy, other checks, rules, limits and a
 * second pool. What a turn brings, a later one takes away.
 */
export function changeOf({ listeners, pools }: Base, turn: number): object {
  const others = OTHER_ADDRESSES.filter((_, i) => (turn >> i) % 2 === 0).map((url) => ({ url }));
  const extra = {
    strategy: strategies[(turn + 1) % 4],
    nodes: [{ id: 'nobody', url: 'mqtt://127.0.0.1:9' }],
  };
  const hasExtra = turn % 3 === 0;
  return {
    listeners: [...listeners, ...others],
    pools: {
      default: {
        ...pools.default,
        strategy: strategies[turn % 4],
        health: { interval: 2 + (turn % 5) },
        upstream: { connectRate: 1000 + turn },
      },
      ...(hasExtra && { extra }),
    },
    rules: Array.from({ length: turn % 20 }, (_, i) => ({
      when: { clientId: `^rule-${turn}-${i}-` },
      ...(hasExtra ? { pool: 'extra' } : { reject: 'banned' }),
    })),
    limits: { maxConnections: 50_000 + turn, deny: [`10.0.${turn % 256}.0/24`] },
    log: { level: turn % 2 === 0 ? 'info' : 'warn' },
  };
}
