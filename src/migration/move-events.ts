import type { BreakwaterEvent, RebalanceView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Node } from '../nodes/node.ts';
import type { MoverProgress } from './mover.ts';

/** One event about once a second while sessions leave a node, and a log line where that comes to a halt or an end. */
export function tellDrain(
  log: Log,
  emit: (event: BreakwaterEvent) => void,
  { id }: Node,
  { state, moved, failed, left, stays, pace }: MoverProgress,
): void {
  const at = new Date().toISOString();
  emit({ type: 'drain-progress', at, node: id, state, moved, failed, left, pace: Math.round(pace) });
  const fields = { node: id, moved, failed, left };
  if (state === 'done') log.info(fields, 'sessions have left the node');
  if (state === 'blocked') log.warn({ ...fields, stays }, 'the rest cannot leave the node now');
}

export function rebalanceEvent({ state, moved, failed, left, pace, pools }: RebalanceView): BreakwaterEvent {
  const at = new Date().toISOString();
  return {
    ...{ type: 'rebalance-progress', at, state, moved, failed, left },
    ...{ pace: Math.round(pace), pools: pools.join(', ') },
  };
}
