/** Continues long work of one session in later turns of the event loop, so that other devices do not wait for it. */

import type { Link, Wire } from './wire.ts';

interface LaterTurnsOwner {
  /** Goes on with what the node has sent. */
  goOnNode(): void;
  /** Goes on with what the device has sent, and with what is sent again. */
  goOnDevice(): void;
}

const NOT_ASKED: Link = -2;

/**
 * What was too much for one call of a session is gone on with in later turns of the loop: what a node has sent in the next
 * one, and what goes to a node when it has taken what it was sent before. Each is asked for once at a time.
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

  askForNode(): void {
    if (this.isNodeAsked) return;
    this.isNodeAsked = true;
    this.wire.nextTurn(() => {
      this.isNodeAsked = false;
      this.owner.goOnNode();
    });
  }

  /** What is gone on with goes to this link, which is another than before where the session has moved; -1: to none. */
  askForDevice(link: Link): void {
    if (this.deviceAskedFor === link) return;
    this.deviceAskedFor = link;
    this.wire.nextTurn(() => {
      this.deviceAskedFor = NOT_ASKED;
      this.owner.goOnDevice();
    }, link);
  }
}
