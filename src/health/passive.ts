/**
 * Passive health: what the traffic itself says about a node, long before the next probe.
 *
 * A failed dial is a suspicion at most, because it may be the fault of the one device that it was for. Links of several
 * sessions that fall silent are proof: a PINGREQ asks for nothing that one device could spoil.
 *
 * What lost links say is in `loss-window.ts`.
 */
export interface PassiveState {
  /** Failed dials since the last one that succeeded. */
  readonly failedDials: number;
  readonly silentLinks: number;
}

export const undisturbed: PassiveState = { failedDials: 0, silentLinks: 0 };

export function afterFailedDial(state: PassiveState): PassiveState {
  return { ...state, failedDials: state.failedDials + 1 };
}

export function afterSilentLink(state: PassiveState): PassiveState {
  return { ...state, silentLinks: state.silentLinks + 1 };
}
