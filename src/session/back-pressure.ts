/** When a device is not read, because enough of what it has sent waits here. */

import type { Frames } from './frames.ts';
import type { State } from './state.ts';

/** @param deviceFrames undefined: the device is between packets */
export function mustHoldDevice(
  state: State,
  deviceFrames: Frames | undefined,
  hasDeviceRest: boolean,
): boolean {
  const { phase, offlineBuffer, inflightFromDevice, options, isPaused, isWithheld } = state;
  if ((inflightFromDevice?.bytes ?? 0) >= options.maxInflightBytes) return true;
  if (hasDeviceRest && !isPaused) return true;
  const isRead = phase === 'leaving' || (phase === 'attached' && !isPaused && !isWithheld);
  const waits = isRead ? 0 : (deviceFrames?.keptBytes ?? 0);
  return (offlineBuffer?.length ?? 0) + waits >= options.maxOfflineBytes;
}
