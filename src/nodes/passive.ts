/**
 * Passive health: what the traffic itself says about a node, long before the next probe.
 *
 * A failed dial is proof: enough of them in a row, with no success between, make the node unhealthy at once. They are
 * counted apart from probes, because a process that hangs still lets the kernel accept a `tcp` probe, and because a
 * node that answers dials may still fail its `http` probe for a reason.
 *
 * A lost link is no proof. In relay mode Breakwater does not read what passes, so it cannot tell a broker that died
 * from one that closed devices on purpose (kicked, taken over, not authorised, keep-alive expired). A burst of losses
 * that takes at least half of a node's connections is a suspicion, and the checker answers it with probes at once.
 */

/** Losses are counted by half seconds, this one and the one before: at least 500 ms and at most 1 s, in two numbers. */
const LOSS_BUCKET_MS = 500;

export interface PassiveState {
  /** Failed dials since the last one that succeeded. */
  readonly failedDials: number;
  readonly losses: { readonly bucket: number; readonly current: number; readonly previous: number };
}

export const undisturbed: PassiveState = { failedDials: 0, losses: { bucket: 0, current: 0, previous: 0 } };

export function afterFailedDial(state: PassiveState): PassiveState {
  return { ...state, failedDials: state.failedDials + 1 };
}

/** A dial counts as succeeded when the node answered CONNACK. */
export function afterDial(state: PassiveState): PassiveState {
  return state.failedDials === 0 ? state : { ...state, failedDials: 0 };
}

/**
 * @param liveConnections what the node still has after this loss
 * @returns the new state, and whether the losses are a suspicion; counting then begins anew
 */
export function afterLostLink(
  state: PassiveState,
  nowMs: number,
  liveConnections: number,
  unhealthyThreshold: number,
): { readonly state: PassiveState; readonly suspicious: boolean } {
  const bucket = Math.floor(nowMs / LOSS_BUCKET_MS);
  const { losses } = state;
  const age = bucket - losses.bucket;
  const current = (age === 0 ? losses.current : 0) + 1;
  const previous = age === 0 ? losses.previous : age === 1 ? losses.current : 0;
  const lost = current + previous;
  const suspicious = lost >= unhealthyThreshold && lost >= liveConnections;
  return {
    state: { ...state, losses: suspicious ? undisturbed.losses : { bucket, current, previous } },
    suspicious,
  };
}
