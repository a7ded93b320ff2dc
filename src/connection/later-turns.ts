/** Continues long work of one session in later turns of the event loop, so that other devices do not wait for it. */

import type { Link, Wire } from './wire.ts';

export interface LaterTurnsOwner {
  /** Goes on with what the node has sent. */
  goOnNode(): void;
  /** Goes on with what the device has sent, and with what is sent again. */
  goOnDevice(): void;
}

const NOT_ASKED: Link = -2;

/**
 * Continues what was too much for one call. The rest of what a node has sent is handled in the next turn. The rest
 * of what goes to a node follows when the node has taken what it was sent before. Each is asked for only once at a
 * time.
 */
export class LaterTurns {
  private readonly wire: Pick<Wire, 'nextTurn'>;
  private readonly owner: LaterTurnsOwner;
  private isNodeAsked = false;
  private deviceAskedFor = NOT_ASKED;

  constructor(wire: Pick<Wire, 'nextTurn'>, owner: LaterTurnsOwner) {
    this.wire = wire;
    this.owner = owner;
  }

  /** Is something to go on in a later turn? */
  get isAsked(): boolean {
    return this.isNodeAsked || this.deviceAskedFor !== NOT_ASKED;
  }

  askForNode(): void {
    if (this.isNodeAsked) return;
    this.isNodeAsked = true;
    this.wire.nextTurn(() => {
      this.isNodeAsked = false;
      this.owner.goOnNode();
    });
  }

  /** The link that the rest goes to; another one than before where the session has moved; -1: none. */
  askForDevice(link: Link): void {
    if (this.deviceAskedFor === link) return;
    this.deviceAskedFor = link;
    this.wire.nextTurn(() => {
      this.deviceAskedFor = NOT_ASKED;
      this.owner.goOnDevice();
    }, link);
  }
}
