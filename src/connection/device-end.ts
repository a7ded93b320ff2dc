/** How a session ends the side of its device. */

import type { Session } from '../session/index.ts';
import { codeOf, comesBack, nodeEndOf, purgesNothing } from './close-reasons.ts';
import type { EndReason } from './connection-host.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { Parting } from './parting.ts';

/** Whose device it is. */
interface Forwarded {
  readonly connection: ForwarderHost;
  readonly session: Session;
  readonly upstream: { readonly isOver: boolean };
  needParting(): Parting;
  drainEvents(): void;
  farewell(): void;
}

/** Tells the device why, where its protocol has a word for it, and closes. */
export function endDevice(of: Forwarded, reason: EndReason, said?: string | Uint8Array): void {
  const { connection, session } = of;
  const parting = of.needParting();
  if (parting.isHalfClosed) return connection.close('flush');
  // It is alive, and its Will must not fire because of us (rule 13).
  if (comesBack(reason)) parting.closeMode = 'goodbye';
  if (purgesNothing(reason)) parting.purges = false;
  connection.because(reason);
  session.endDevice(codeOf(reason, said), said);
  of.drainEvents();
  connection.close('flush');
}

/**
 * The node has ended its side, and may still read. The device hears that, and may still speak: its node gets what it says until it
 * ends its own side.
 */
export function finishDevice(of: Forwarded): void {
  const { connection, session } = of;
  const parting = of.needParting();
  parting.nodeFinished = true;
  parting.closeMode = 'flush';
  parting.purges = false;
  connection.because(nodeEndOf('fin'));
  connection.wire.setTimer(connection.host.limits.halfCloseTimeoutMs);
  connection.wire.finishDevice();
  session.release();
  of.drainEvents();
  if (parting.finished && !of.upstream.isOver) of.farewell();
}
