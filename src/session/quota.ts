import type { State } from './state.ts';
import { stage } from './window.ts';

/** The node's Receive Maximum, where it is smaller than the one that the device was told (rule 11). */

/** Is the node's Receive Maximum smaller than the one the device keeps to, and used up (rule 11) [MQTT-3.3.4-7]? */
export function quotaIsUsed(s: State): boolean {
  if (s.terms.receiveMaximum >= s.told.receiveMaximum || s.window === undefined) return false;
  return inflight(s) >= s.terms.receiveMaximum || hasWaiting(s);
}

/** The node has made room: what waited goes, oldest first. */
export function sendWaiting(s: State): void {
  const { window } = s;
  if (window === undefined || s.terms.receiveMaximum >= s.told.receiveMaximum) return;
  let room = s.terms.receiveMaximum - inflight(s);
  for (let at = window.first(); at >= 0 && room > 0; at = window.next(at)) {
    if (window.stage(at) !== stage.waiting) continue;
    s.toNode.write(window.packet(at));
    window.setStage(at, stage.sent);
    window.markDuplicate(at);
    room--;
  }
}

/** Publishes that count against the node's Receive Maximum [MQTT-4.9.0-2]. */
export function inflight(s: State): number {
  const { window } = s;
  let count = 0;
  if (window === undefined) return count;
  for (let at = window.first(); at >= 0; at = window.next(at)) {
    const now = window.stage(at);
    if (now === stage.sent || now === stage.received || now === stage.released) count++;
  }
  return count;
}

function hasWaiting(s: State): boolean {
  const { window } = s;
  if (window === undefined) return false;
  for (let at = window.first(); at >= 0; at = window.next(at)) {
    if (window.stage(at) === stage.waiting) return true;
  }
  return false;
}
