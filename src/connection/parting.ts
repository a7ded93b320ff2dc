import type { HandedSessionForwarder } from './handed-forwarder.ts';
import type { CloseMode } from './part.ts';
import type { EndCause, Link } from './wire.ts';

/** How a session parts from its device and its node. Made when that begins, because most connections just stay. */
export class Parting {
  /** The link has ended behind bytes of the node that are still to be taken. */
  linkEnd: { readonly link: Link; readonly cause: EndCause } | undefined;
  /** The last packet of the device lies behind others that are still to be taken. */
  farewellWaits = false;
  /** The device sent DISCONNECT, which waits for the next node. */
  leaving = false;
  /** The device has ended its side, and may still read. */
  finished = false;
  /** The device has sent its last packet to its node, which has its time to answer and to close. */
  isFarewell = false;
  /** The node has ended its side, and so have we that to the device, which has its time to end its own. */
  nodeFinished = false;
  closeMode: CloseMode = 'reset';
  /** Nodes that may keep a session that the device wanted clean are asked to drop it. */
  purges = true;

  /** Has one side ended, so that the other has its time? */
  get isHalfClosed(): boolean {
    return this.isFarewell || this.nodeFinished;
  }
}

/** Neither side has begun to. */
export const staying: Readonly<Parting> = Object.freeze(new Parting());

/** As another process has described it. */
export function revivedParting({
  leaving,
  closeMode,
  purges,
}: Pick<HandedSessionForwarder, 'leaving' | 'closeMode' | 'purges'>): Parting {
  if (!leaving && purges && closeMode === staying.closeMode) return staying;
  return Object.assign(new Parting(), { leaving, closeMode, purges });
}
