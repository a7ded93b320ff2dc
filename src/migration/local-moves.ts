/** Moves of sessions that this proxy carries out itself, for its own people or because another proxy asks. */

import type { TableWriter } from '../data-plane-api/routing-table.ts';
import type { Drains } from './drains.ts';
import type { MoverProgress } from './mover.ts';
import type { LocalMoves } from './peer-moves.ts';
import type { PlanExecutor } from './plan-executor.ts';

interface LocalMovesParts {
  readonly proxyId: string;
  readonly table: Pick<TableWriter, 'liveAt' | 'liveByNode'>;
  readonly drains: Pick<Drains, 'setRate' | 'progress'>;
  readonly carryOut: Pick<PlanExecutor, 'start' | 'progress'>;
}

/** What this proxy moves, and is asked to move, of its own. */
export function createLocalMoves(parts: LocalMovesParts): LocalMoves {
  const { proxyId, table, drains, carryOut } = parts;

  /** Where nothing moves. A proxy that still has connections has not heard of the order yet. */
  function atRest(left: number): MoverProgress {
    const state = left === 0 ? 'done' : 'moving';
    return { state, moved: 0, failed: 0, left, stays: 0, rate: 0, pace: 0 };
  }

  return {
    setDrainRate: (node, rate) => drains.setRate(node, rate),
    drainProgress: (node) => drains.progress(node) ?? atRest(table.liveAt(node)),
    load: () => ({ proxy: proxyId, live: table.liveByNode() }),
    carryOut(moves, rate) {
      carryOut.start(new Map(moves).get(proxyId) ?? [], rate);
    },
    carried: () => carryOut.progress() ?? atRest(0),
  };
}
