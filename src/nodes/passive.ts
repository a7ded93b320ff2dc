/**
 * Passive health: what the traffic itself says about a node, long before the next probe.
 *
 * A failed dial is proof: enough of them in a row, with no success between, make the node unhealthy at once. They are
 * counted apart from probes, because a process that hangs still lets the kernel accept a `tcp` probe, and because a
 * node that answers dials may still fail its `http` probe for a reason.
 *
 * What lost links say is in `loss-window.ts`.
 */
export interface PassiveState {
  /** Failed dials since the last one that succeeded. */
  readonly failedDials: number;
}

export const undisturbed: PassiveState = { failedDials: 0 };

export function afterFailedDial(state: PassiveState): PassiveState {
  return { failedDials: state.failedDials + 1 };
}

/** A dial counts as succeeded when the node answered CONNACK. */
export function afterDial(state: PassiveState): PassiveState {
  return state.failedDials === 0 ? state : undisturbed;
}
