/** How a node is left that has the session, and lives (rule 13). */

import type { Connect } from '../protocol/mqtt/connect.ts';
import { willDelay } from './connect-again.ts';
import type { State } from './state.ts';

/** `raw` is the device's CONNECT. */
export function mustLeaveFirst({ connect, options }: State, raw: Uint8Array): boolean {
  // A session without expiry ends on the takeover, and whatever delays its Will with it (3.1.4, 3.1.3.2.2).
  const isDelayed = connect.properties.sessionExpiryInterval > 0 && willDelay(raw) > 0;
  return connect.hasWill && options.takeoverFiresWill && !isDelayed;
}

/** DISCONNECT, with MQTT 5 one that ends the session where `endSession`. */
export function goodbyePacket(connect: Connect, endSession: boolean): Uint8Array {
  const expires = connect.protocolVersion === 5 && connect.properties.sessionExpiryInterval > 0;
  return endSession && expires ? Uint8Array.of(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0) : Uint8Array.of(0xe0, 0);
}
