import type { Connection } from '../connection/connection.ts';
import type { SessionCarrier } from '../connection/session-carrier.ts';
import type { Random } from '../time.ts';

/** How often the nodes of the sessions are looked at, in ms; the main thread gives the beat. */
export const NODE_WATCH_MS = 500;
/** Part of a pool's `silenceTimeout` after which an unanswered PINGREQ is a suspicion against its node. */
const SUSPICION = 0.3;

interface Canary {
  readonly carrier: SessionCarrier;
  readonly sinceMs: number;
}

/**
 * Finds nodes that hang: their kernel still accepts and acknowledges, so no socket says anything. One session of each
 * node, another at every look, asks for a sign of life; when the answer is late, every session of that node asks, and
 * those that get no answer move. Idle sessions cost nothing that way, however short the timeout.
 */
export function createNodeWatch(now: () => number, random: Random) {
  const canaries = new Map<string, Canary>();

  function suspects(): Set<string> {
    const nowMs = now();
    const late = new Set<string>();
    for (const [node, { carrier, sinceMs }] of canaries) {
      const waits = carrier.target?.nodeId === node && carrier.session.pingUnanswered;
      if (!waits) canaries.delete(node);
      else if (nowMs - sinceMs >= carrier.silenceTimeoutMs * SUSPICION) {
        late.add(node);
        canaries.delete(node);
      }
    }
    return late;
  }

  return {
    /** One look. `unhealthy` nodes, as probes found them, are suspected as well. */
    look(connections: Iterable<Connection>, unhealthy: readonly string[]): void {
      const suspected = suspects();
      for (const node of unhealthy) suspected.add(node);
      const chosen = new Map<string, SessionCarrier>();
      const seen = new Map<string, number>();
      for (const { session: carrier, placedAtMs } of connections) {
        const node = carrier?.target?.nodeId;
        if (carrier === undefined || node === undefined || placedAtMs === 0) continue;
        if (suspected.has(node)) carrier.check();
        else if (!canaries.has(node)) {
          const count = (seen.get(node) ?? 0) + 1;
          seen.set(node, count);
          if (random() * count < 1) chosen.set(node, carrier);
        }
      }
      for (const [node, carrier] of chosen) {
        carrier.session.pingNode();
        canaries.set(node, { carrier, sinceMs: now() });
      }
    },
  };
}

export type NodeWatch = ReturnType<typeof createNodeWatch>;
