import type { Config } from '../config/config.ts';
import type { ControlState, LastWords } from './control-state.ts';
import { describeHealth } from './known-health.ts';
import type { RunningParts } from './running-parts.ts';

/** What goes from the control plane of one process to that of the next: here it is put together, and taken up again. */

/** What no upgrade can change: who this proxy is to the others, and where they meet. */
export function fixedParts({ cluster, proxy, membership }: Config): Record<string, unknown> {
  return {
    cluster,
    'proxy.id': proxy.id,
    'membership.store': membership.store,
    'membership.url': membership.url,
  };
}

export function describeControl({ common, control }: Pick<RunningParts, 'common' | 'control'>): ControlState {
  const { id, startedAt, generation } = common.identity;
  return {
    identity: { id, startedAt, generation },
    fixed: fixedParts(common.current.config),
    keys: control.keys.describe(),
    isDraining: common.phase.isDraining,
    lastNumber: common.table.lastNumber,
    nodes: describeHealth(control),
    store: control.store.describe?.(),
  };
}

export function describeLast({ control }: Pick<RunningParts, 'control'>): LastWords {
  return { store: control.store.describe?.() };
}

export function restoreLast(words: LastWords, { control }: RunningParts): void {
  if (words.store !== undefined) control.store.restore?.(words.store);
}
