/** How a node is left that has the session, and lives (rule 13). */

import type { Connect } from '../protocol/mqtt/connect.ts';
import { willDelay } from './connect-again.ts';
import type { State } from './state.ts';

/**
 * So it is where a takeover would fire the Will of a live device, or takes no session whole. Otherwise the next node is asked
 * first, and the takeover keeps the session whole. `raw` is the device's CONNECT.
 */
export function mustLeaveFirst(s: State, raw: Uint8Array): boolean {
  return s.options.leavesFirst || firesWill(s, raw);
}

function firesWill({ connect, options }: State, raw: Uint8Array): boolean {
  // A session without expiry ends on the takeover, and whatever delays its Will with it (3.1.4, 3.1.3.2.2).
  const isDelayed = connect.properties.sessionExpiryInterval > 0 && willDelay(raw) > 0;
  return connect.hasWill && options.takeoverFiresWill && !isDelayed;
}

/**
 * What a takeover may cost that waits for a node that hangs. A cluster completes it when that node goes on, before what other
 * nodes had sent there: `messages` on their way to the session are lost (EMQX). And it may publish the `will`.
 */
export type TakeoverStake = 'nothing' | 'messages' | 'will';

export function stakeOf(s: State, raw: Uint8Array): TakeoverStake {
  if (firesWill(s, raw)) return 'will';
  return s.inherited || (s.subscriptions?.count ?? 0) > 0 ? 'messages' : 'nothing';
}

/** DISCONNECT, with MQTT 5 one that ends the session where `endSession`. */
export function goodbyePacket(connect: Connect, endSession: boolean): Uint8Array {
  const expires = connect.protocolVersion === 5 && connect.properties.sessionExpiryInterval > 0;
  return endSession && expires ? Uint8Array.of(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0) : Uint8Array.of(0xe0, 0);
}
