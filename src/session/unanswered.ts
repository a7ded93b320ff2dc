/** What a device has said while no node has answered its CONNECT. */

import type { Frames } from './frames.ts';
import type { State } from './state.ts';

const NOTHING = new Uint8Array(0);

/**
 * It waits as it came, and in order. Undefined where a node has accepted the device or goes on with its login, and where not all is kept.
 * @param raw the CONNECT
 * @param deviceFrames undefined: the device is between packets
 */
export function unansweredOf(
  { phase, rare, offlineBuffer }: State,
  raw: Uint8Array,
  deviceFrames: Frames | undefined,
): Uint8Array | undefined {
  if (phase !== 'connecting' || rare.authenticates) return undefined;
  if (deviceFrames?.isUnfinished || deviceFrames?.hasLeft) return undefined;
  const part = deviceFrames?.describe().partial;
  return Buffer.concat([raw, offlineBuffer?.copy ?? NOTHING, part ?? NOTHING]);
}
