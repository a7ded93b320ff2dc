import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import type { ReasonCode } from '../protocol/mqtt/reason-codes.ts';
import type { Attempts } from './attempts.ts';
import type { Shell } from './carrier.ts';
import { Drop } from './drop.ts';
import { type Parting, part } from './part.ts';
import type { Seat } from './seat.ts';
import type { Traveller } from './traveller.ts';
import type { Link } from './wire.ts';

/** Where a session is attached: its place at a node, the link that it speaks on, and how both are left. */
export class Attachment {
  /** The link that the session speaks on, or -1. */
  link: Link = -1;
  /** The link to the node that is left for another one, until that one has the session; or -1. */
  oldLink: Link = -1;
  /** At the node that serves. */
  seat: Seat | undefined;
  /** When it took the session, on the world's clock. */
  attachedAtMs = 0;
  /** The connection ends, or has ended. */
  isOver = false;
  private readonly shell: Shell;
  private readonly traveller: Traveller;

  constructor(shell: Shell, traveller: Traveller) {
    this.shell = shell;
    this.traveller = traveller;
  }

  send(link: Link, packet: Uint8Array): void {
    this.shell.wire.toNode(link, packet, 0, packet.length);
  }

  /** A node has accepted the session on `link`. */
  attach(seat: Seat | undefined): void {
    this.seat = seat;
    this.attachedAtMs = this.shell.world.now();
    this.traveller.served();
  }

  part(link: Link, parting: Parting, endsSession = false): void {
    part(this.shell.wire, this.traveller, link, parting, endsSession);
  }

  /** For good: a session that ends with its link is over. */
  leaveNode(parting: Parting): void {
    this.traveller.session.nodeGone();
    this.leaveLink(parting);
  }

  /** The session may be at another node by now. */
  leaveLink(parting: Parting): void {
    this.part(this.link, parting);
    this.link = -1;
    this.seat?.release();
    this.seat = undefined;
  }

  /** For good, as the connection ends. `attempts`: the search that is under way, whose link may be the session's. */
  leave(attempts: Attempts | undefined, parting: Parting): void {
    const { link } = this;
    this.link = -1;
    this.leaveOld(parting);
    if (link >= 0 && link === attempts?.link) {
      if (parting === 'goodbye') this.send(link, this.traveller.session.goodbye(false));
      attempts.giveUp(parting === 'reset' ? 'reset' : 'flush');
    } else {
      if (link >= 0) this.part(link, parting);
      attempts?.withdraw();
    }
    this.seat?.release();
  }

  private leaveOld(parting: Parting): void {
    if (this.oldLink >= 0) this.part(this.oldLink, parting);
    this.oldLink = -1;
  }

  /**
   * For good, and what the node of `seat` has begun for the session is dropped there. Then the device, which is alive, is
   * told this reason, and its connection closes.
   */
  drop(seat: Seat, version: ProtocolVersion, code: ReasonCode): Drop {
    const { shell, link } = this;
    const { session } = this.traveller;
    this.isOver = true;
    this.link = -1;
    this.leaveOld('goodbye');
    seat.release();
    return new Drop(shell.wire, session, { version, link, target: seat.target }, () => {
      session.endDevice(code);
      shell.close('flush');
    });
  }

  /** The old node is not listened to any more, and told goodbye when the new one has the session. False: as `detach`. */
  leaveBehind(): boolean {
    this.oldLink = this.link;
    this.link = -1;
    this.seat?.release();
    this.seat = undefined;
    return this.detach();
  }

  /** The new node has the session. */
  sayGoodbye(endsSession: boolean): void {
    const { oldLink } = this;
    if (oldLink < 0) return;
    this.oldLink = -1;
    this.part(oldLink, 'goodbye', endsSession);
  }

  /** Nothing more of the link is taken. False when that was the end. */
  detach(): boolean {
    this.traveller.adrift();
    if (this.traveller.session.detached()) {
      this.traveller.settle();
      return !this.isOver;
    }
    this.traveller.endInTheMiddle('node-reset');
    return false;
  }
}
