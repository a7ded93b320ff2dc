import type { Random } from '../base/time.ts';
import type { SessionCarrier } from '../connection/session-carrier.ts';

/** Part of a pool's `silenceTimeout` after which an unanswered PINGREQ is a suspicion against its node. */
const SUSPICION = 0.3;

/** What is needed of a connection. */
export interface Watched {
  readonly placedAtMs: number;
  readonly session:
    | Pick<SessionCarrier, 'target' | 'silenceTimeoutMs' | 'ask' | 'isSilent' | 'check'>
    | undefined;
}

type Carrier = NonNullable<Watched['session']>;

/** The session that was asked for its node. */
interface Canary {
  readonly carrier: Carrier;
  readonly heard: number;
  readonly askedAtMs: number;
}

/** One of a node's sessions, each with the same chance. */
interface Draw {
  carrier: Carrier;
  count: number;
}

/**
 * Finds nodes that hang: their kernel still accepts and acknowledges, so no socket says anything. One session of each
 * node, another at every look, asks for a sign of life; when the answer is late, every session of that node asks, and
 * those that get no answer move. Idle sessions cost nothing that way, however short the timeout.
 */
export function createNodeWatch(now: () => number, random: Random) {
  const canaries = new Map<string, Canary>();
  let unhealthyBefore: readonly string[] = [];

  function lateCanaries(nowMs: number): Set<string> {
    const late = new Set<string>();
    for (const [node, { carrier, heard, askedAtMs }] of canaries) {
      const isSilent = carrier.target?.nodeId === node && carrier.isSilent(heard);
      const isLate = nowMs - askedAtMs >= carrier.silenceTimeoutMs * SUSPICION;
      if (isSilent && isLate) late.add(node);
      if (!isSilent || isLate) canaries.delete(node);
    }
    return late;
  }

  function draw(draws: Map<number, Draw>, carrier: Carrier, slot: number): void {
    const drawn = draws.get(slot);
    if (drawn === undefined) draws.set(slot, { carrier, count: 1 });
    else if (random() * ++drawn.count < 1) drawn.carrier = carrier;
  }

  return {
    /**
     * One look at all connections, listener by listener; call it twice a second. A node that probes find `unhealthy` is
     * suspected once; if it hangs only later, its canary tells.
     */
    look(connections: Iterable<Iterable<Watched>>, unhealthy: readonly string[]): void {
      const nowMs = now();
      const suspected = lateCanaries(nowMs);
      for (const node of unhealthy) if (!unhealthyBefore.includes(node)) suspected.add(node);
      unhealthyBefore = unhealthy;
      const draws = new Map<number, Draw>(); // by slot
      for (const ofOneListener of connections) {
        for (const { session, placedAtMs } of ofOneListener) {
          const target = session?.target;
          if (session === undefined || target === undefined || placedAtMs === 0) continue;
          if (suspected.size > 0 && suspected.has(target.nodeId)) session.check();
          draw(draws, session, target.slot);
        }
      }
      for (const { carrier } of draws.values()) {
        const node = carrier.target?.nodeId;
        if (node === undefined || canaries.has(node) || suspected.has(node)) continue;
        const heard = carrier.ask();
        if (heard !== undefined) canaries.set(node, { carrier, heard, askedAtMs: nowMs });
      }
    },
  };
}
