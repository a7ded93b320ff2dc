import type { State } from './state.ts';

/** Keeps to the node's Receive Maximum where it is smaller than the one in the device's CONNACK (rule 11). */

/** Is the node's Receive Maximum smaller than the one the device keeps to, and used up (rule 11) [MQTT-3.3.4-7]? */
export function quotaIsUsed(s: State): boolean {
  if (s.terms.receiveMaximum >= s.advertised.receiveMaximum || s.inflightFromDevice === undefined)
    return false;
  return s.inflightFromDevice.inflight >= s.terms.receiveMaximum || s.inflightFromDevice.waiting > 0;
}

/** The node has made room: what waited goes, oldest first. */
export function sendWaiting(s: State): void {
  const { inflightFromDevice } = s;
  if (inflightFromDevice === undefined || s.isResending) return; // in their order
  if (s.migration?.quiesces) return; // for the next node
  while (inflightFromDevice.waiting > 0 && inflightFromDevice.inflight < s.terms.receiveMaximum) {
    const at = inflightFromDevice.firstWaiting();
    s.toNode.write(inflightFromDevice.packet(at));
    inflightFromDevice.markDuplicate(at);
    inflightFromDevice.sentWaiting(at);
  }
}
