import type { BreakwaterEvent, ProxyRebalanceView, RebalanceView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Node } from '../nodes/node.ts';
import type { DepartureProgress } from './departure.ts';
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

export function proxyRebalanceEvent(view: ProxyRebalanceView): BreakwaterEvent {
  const { state, moved, failed, left, pace, proxies } = view;
  return {
    ...{ type: 'proxy-rebalance-progress', at: new Date().toISOString(), state, moved, failed, left },
    ...{ pace: Math.round(pace), proxies: proxies.join(', ') },
  };
}

/** One event about once a second while devices leave this proxy, and a log line where that comes to an end. */
export function tellDeparture(
  log: Log,
  emit: (event: BreakwaterEvent) => void,
  proxy: string,
  { state, moved, left, pace }: DepartureProgress,
): void {
  const at = new Date().toISOString();
  const progress = { state, moved, failed: 0, left, pace: Math.round(pace) };
  emit({ type: 'proxy-drain-progress', at, proxy, ...progress });
  if (state === 'done') log.info({ moved, left }, 'devices have left the proxy');
}

/** Somebody has taken this proxy out, or in again. */
export function tellProxyState(
  log: Log,
  emit: (event: BreakwaterEvent) => void,
  proxy: string,
  isDraining: boolean,
): void {
  const state = isDraining ? 'draining' : 'enabled';
  log.info({ state }, 'proxy state changed');
  emit({ type: 'proxy-state', at: new Date().toISOString(), proxy, state });
}
