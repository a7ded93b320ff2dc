import type { State } from './state.ts';

/** The node's Receive Maximum, where it is smaller than the one that the device was told (rule 11). */

/** Is the node's Receive Maximum smaller than the one the device keeps to, and used up (rule 11) [MQTT-3.3.4-7]? */
export function quotaIsUsed(s: State): boolean {
  if (s.terms.receiveMaximum >= s.told.receiveMaximum || s.window === undefined) return false;
  return s.window.inflight >= s.terms.receiveMaximum || s.window.waiting > 0;
}

/** The node has made room: what waited goes, oldest first. */
export function sendWaiting(s: State): void {
  const { window } = s;
  if (window === undefined || s.isResending) return; // in their order
  while (window.waiting > 0 && window.inflight < s.terms.receiveMaximum) {
    const at = window.firstWaiting();
    s.toNode.write(window.packet(at));
    window.markDuplicate(at);
    window.sentWaiting(at);
  }
}
