import type { Connect } from '../protocol/mqtt/connect.ts';
import { type ConnackRefusal, refusalConnack } from '../protocol/mqtt/reason-codes.ts';
import type { Attempts, Shortage } from './attempts.ts';
import type { Shell } from './carrier.ts';
import { nodeEndOf } from './ends.ts';

const saysOf = {
  'no-node': 'server-unavailable',
  'nodes-full': 'quota-exceeded',
  'nodes-busy': 'rate-exceeded',
} as const satisfies Record<Shortage | 'no-node', ConnackRefusal>;

/**
 * Turns away a device that no node takes: with what the last node said that said anything, be it a CONNACK or a bare close;
 * else in our own words.
 */
export function turnAway(shell: Shell, { protocolVersion }: Connect, attempts: Attempts | undefined): void {
  const word = attempts?.lastWord;
  if (word === undefined) {
    const label = attempts?.shortage ?? 'no-node';
    return shell.refuse(label, refusalConnack(protocolVersion, saysOf[label]), 'no-node');
  }
  if ('connack' in word) return shell.refuse('node-refused', word.connack, 'connect-rejected');
  shell.world.rejected('node-closed', shell);
  shell.because(nodeEndOf(word.end));
  shell.close(word.end === 'fin' ? 'flush' : 'reset');
}
