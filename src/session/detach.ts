/** The link of a session is lost, or is left. */

import type { Frames } from './frames.ts';
import type { State } from './state.ts';

/**
 * Nothing more of the link is taken. Returns false when the device has part of a message that can never be completed.
 * @param deviceFrames undefined: the device is between packets, as its node is without `nodeFrames`
 */
export function detach(
  state: State,
  deviceFrames: Frames | undefined,
  nodeFrames: Frames | undefined,
): boolean {
  const isWhole = !nodeFrames?.midStream || state.migration?.drops === true;
  state.linkDead = true;
  state.isWithheld = false;
  if (state.phase === 'connecting' || state.phase === 'leaving' || state.phase === 'over') return isWhole;
  state.phase = 'detached';
  state.needMigration().linkLost();
  state.inflightFromDevice?.endResend();
  if (deviceFrames?.midStream) state.needMigration().cut = true;
  state.toNode.abort();
  state.pingsSent = 0;
  state.forgetOddPings();
  state.inflightToDevice?.suspend();
  return isWhole;
}
