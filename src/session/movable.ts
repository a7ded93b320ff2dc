/** Whether a session can go to another node, and if not, why. */

import type { State } from './state.ts';

/** Why a session cannot go to another node. `mid-delivery` and `mid-upload` pass by themselves; the others stay. */
export type Immovable = 'connecting' | 'over' | 'mid-delivery' | 'mid-upload' | Stays;
/** Of these, what holds for as long as the connection does. */
export type Stays = NonNullable<State['stays']>;

/**
 * Undefined when the session can go to another node at present.
 * @param isMidDelivery the device has part of a message of the node, or part of it waits here
 */
export function immovableOf(s: State, isMidDelivery: boolean): Immovable | undefined {
  if (s.phase === 'connecting') return 'connecting';
  if (s.phase === 'leaving' || s.phase === 'over') return 'over';
  if (s.stays !== undefined) return s.stays;
  if (isMidDelivery) return 'mid-delivery';
  return hasUnkept(s) ? 'mid-upload' : undefined;
}

/** Is its own node the only one that could continue the session? */
export function isTied(s: State): boolean {
  return s.stays !== undefined || hasUnkept(s);
}

/** Does the device wait for the answer to a message that was too large to be kept? Only its node can give it. */
function hasUnkept(s: State): boolean {
  return (s.inflightFromDevice?.unkept ?? 0) > 0;
}
