/** Answers a device that cannot be served, in words of MQTT, and ends its connection. */

import type { ConnectSummary } from '../protocol/mqtt/connect.ts';
import { type ConnackRefusal, refusalConnack } from '../protocol/mqtt/reason-codes.ts';
import { nodeEndOf } from './close-reasons.ts';
import type { ConnectAttempts, Shortage } from './connect-attempts.ts';
import type { ForwarderHost } from './forwarder.ts';

const saysOf = {
  'no-node': 'server-unavailable',
  'nodes-full': 'quota-exceeded',
  'nodes-busy': 'rate-exceeded',
} as const satisfies Record<Shortage | 'no-node', ConnackRefusal>;

/**
 * Turns away a device that no node takes. It gets the answer of the last node that answered, be it a CONNACK or a
 * bare close, else an answer of ours.
 */
export function turnAway(
  connection: ForwarderHost,
  { protocolVersion }: Pick<ConnectSummary, 'protocolVersion'>,
  attempts: ConnectAttempts | undefined,
): void {
  const word = attempts?.lastWord;
  if (word === undefined) {
    const label = attempts?.shortage ?? 'no-node';
    return connection.refuse(label, refusalConnack(protocolVersion, saysOf[label]), 'no-node');
  }
  if ('connack' in word) return connection.refuse('node-refused', word.connack, 'connect-rejected');
  connection.host.rejected('node-closed', connection);
  connection.because(nodeEndOf(word.end));
  connection.close(word.end === 'fin' ? 'flush' : 'reset');
}
