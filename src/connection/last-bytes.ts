import type { ConnectionHost } from './connection-host.ts';
import type { Wire } from './wire.ts';

/** Whose sides end. */
interface Ending {
  readonly wire: Pick<Wire, 'stillTakes' | 'setTimer'>;
  readonly host: Pick<ConnectionHost, 'limits'>;
}

/**
 * The time of a side that is to end is over. True where it reads on, though slowly: it then has as much time again. What is on its way
 * to it at that moment is all that there will ever be, so this comes to an end, and who reads nothing is not waited for.
 */
export function hasTimeAgain({ wire, host }: Ending): boolean {
  if (!wire.stillTakes()) return false;
  wire.setTimer(host.limits.halfCloseTimeoutMs);
  return true;
}
