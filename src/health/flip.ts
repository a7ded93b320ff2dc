import type { Health } from '../nodes/node.ts';

/** How many results in a row, 2 to 10, turn a health over. */
export interface Thresholds {
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

export interface FlipState {
  readonly health: Health;
  /** Results in a row that speak against `health`. */
  readonly streak: number;
}

export const unobserved: FlipState = { health: 'unknown', streak: 0 };

/** Health after one more probe. The first result of all decides at once: it stands against no observation. */
export function flip(state: FlipState, ok: boolean, thresholds: Thresholds): FlipState {
  const shown = ok ? 'healthy' : 'unhealthy';
  if (state.health === 'unknown') return { health: shown, streak: 0 };
  if (state.health === shown) return { health: shown, streak: 0 };
  const streak = state.streak + 1;
  const needed = ok ? thresholds.healthyThreshold : thresholds.unhealthyThreshold;
  return streak >= needed ? { health: shown, streak: 0 } : { health: state.health, streak };
}
