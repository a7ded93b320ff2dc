/** Sorts the reasons for which a dial failed: which of them speak against the node, and which against this machine. */

import type { DialFailure } from './connection-host.ts';
import { TLS_REASON } from './wire.ts';

const FAILURE_OF_ERRNO: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
  // Of this machine (socket(2), connect(2)): all nodes would seem to be down, and their sessions would be moved.
  EMFILE: 'local',
  ENFILE: 'local',
  ENOBUFS: 'local',
  ENOMEM: 'local',
  EADDRNOTAVAIL: 'local',
};

/** What the reason of a failed dial, an errno name or a text of TLS, says about the node. */
export function dialFailureOf(reason: string): DialFailure {
  return reason.startsWith(TLS_REASON) ? 'tls' : (FAILURE_OF_ERRNO[reason] ?? 'unreachable');
}
