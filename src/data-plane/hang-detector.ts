import type { Random } from '../base/time.ts';
import type { SessionForwarder } from '../connection/session-forwarder.ts';
import type { Wire } from '../connection/wire.ts';

/** Part of a pool's `silenceTimeout` after which an unanswered PINGREQ is a suspicion against its node. */
const SUSPICION = 0.3;

/** What the detector needs of a connection. */
export interface Watched {
  readonly wire: Pick<Wire, 'guard'>;
  readonly placedAtMs: number;
  readonly session:
    | Pick<SessionForwarder, 'target' | 'silenceTimeoutMs' | 'mayAsk' | 'ask' | 'isSilent' | 'check'>
    | undefined;
}

type Forwarder = NonNullable<Watched['session']>;

/** The session that was asked for its node. */
interface SampledSession {
  readonly forwarder: Forwarder;
  readonly heard: number;
  readonly askedAtMs: number;
}

/** One of a node's sessions, each with the same chance. */
interface Draw {
  forwarder: Forwarder;
  wire: Watched['wire'];
  count: number;
}

/**
 * Finds nodes that hang: their kernel still accepts and acknowledges, so no socket says anything. One session of each
 * node, another at every look, of those whose devices have just been heard, asks for a sign of life; when the answer is late, every session of that node asks, and
 * those that get no answer move. Idle sessions cost nothing that way, however short the timeout.
 */
export function createHangDetector(now: () => number, random: Random) {
  const samples = new Map<string, SampledSession>();
  let unhealthyBefore: readonly string[] = [];

  function lateSamples(nowMs: number): Set<string> {
    const late = new Set<string>();
    for (const [node, { forwarder, heard, askedAtMs }] of samples) {
      const isSilent = forwarder.target?.nodeId === node && forwarder.isSilent(heard);
      const isLate = nowMs - askedAtMs >= forwarder.silenceTimeoutMs * SUSPICION;
      if (isSilent && isLate) late.add(node);
      if (!isSilent || isLate) samples.delete(node);
    }
    return late;
  }

  function draw(draws: Map<number, Draw>, { wire }: Watched, forwarder: Forwarder, slot: number): void {
    const drawn = draws.get(slot);
    if (drawn === undefined) draws.set(slot, { forwarder, wire, count: 1 });
    else if (random() * ++drawn.count < 1) Object.assign(drawn, { forwarder, wire });
  }

  return {
    /**
     * One look at all connections, listener by listener; call it twice a second. A node that probes find `unhealthy` is
     * suspected once; if it hangs only later, its sampled session tells.
     */
    look(connections: Iterable<Iterable<Watched>>, unhealthy: readonly string[]): void {
      const nowMs = now();
      const suspected = lateSamples(nowMs);
      for (const node of unhealthy) if (!unhealthyBefore.includes(node)) suspected.add(node);
      unhealthyBefore = unhealthy;
      const draws = new Map<number, Draw>(); // by slot
      for (const ofOneListener of connections) {
        for (const watched of ofOneListener) {
          const { session, placedAtMs, wire } = watched;
          const target = session?.target;
          if (session === undefined || target === undefined || placedAtMs === 0) continue;
          if (suspected.size > 0 && suspected.has(target.nodeId)) wire.guard(() => session.check());
          if (session.mayAsk(nowMs)) draw(draws, watched, session, target.slot);
        }
      }
      for (const { forwarder, wire } of draws.values()) {
        const node = forwarder.target?.nodeId;
        if (node === undefined || samples.has(node) || suspected.has(node)) continue;
        const heard = wire.guard(() => forwarder.ask());
        if (heard !== undefined) samples.set(node, { forwarder, heard, askedAtMs: nowMs });
      }
    },
  };
}
