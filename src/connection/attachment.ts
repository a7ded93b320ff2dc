import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import type { ReasonCode } from '../protocol/mqtt/reason-codes.ts';
import type { ConnectAttempts } from './connect-attempts.ts';
import { Drop } from './drop.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedAttachment } from './handed-forwarder.ts';
import { NodePermit } from './node-permit.ts';
import { type CloseMode, type PartOptions, part } from './part.ts';
import type { UpstreamHost } from './upstream-host.ts';
import type { Link, Target } from './wire.ts';

/** Where a session is attached: its place at a node, the link that it speaks on, and how both are left. */
export class Attachment {
  /** The link that the session speaks on, or -1. */
  link: Link = -1;
  /** The link to the node that is left for another one, until that one has the session; or -1. */
  oldLink: Link = -1;
  /** The node of `oldLink` has been told goodbye, and is waited for: it closes its link when it has read all. */
  saidGoodbye = false;
  /** At the node that serves. */
  permit: NodePermit | undefined;
  /** At the node of `oldLink`: until another node has the session, that one is not empty. */
  private oldPermit: NodePermit | undefined;
  /** When it took the session, on the host's clock, in whole milliseconds: others take memory of their own. */
  attachedAtMs = 0;
  /** The connection ends, or has ended. */
  isOver = false;
  private readonly owner: UpstreamHost;

  constructor(owner: UpstreamHost) {
    this.owner = owner;
  }

  private get connection(): ForwarderHost {
    return this.owner.connection;
  }

  /** For another process. Undefined unless a node serves, and no other one is left. */
  describe(): HandedAttachment | undefined {
    const { link, oldLink, permit, attachedAtMs, isOver, connection } = this;
    if (isOver || link < 0 || oldLink >= 0 || permit === undefined) return undefined;
    return { node: permit.target.nodeId, link, attachedAgoMs: connection.host.now() - attachedAtMs };
  }

  /** The same, while no node has the session, and none is still to be left; `node` had it. */
  describeLeft(node: Target): HandedAttachment | undefined {
    const { link, oldLink, permit, attachedAtMs, isOver, connection } = this;
    if (isOver || link >= 0 || oldLink >= 0 || permit !== undefined) return undefined;
    return { node: node.nodeId, link, attachedAgoMs: connection.host.now() - attachedAtMs };
  }

  /** Goes on where another process was, at no node. */
  reviveLeft({ attachedAgoMs }: HandedAttachment): void {
    this.attachedAtMs = Math.ceil(this.connection.host.now() - attachedAgoMs);
  }

  /** Goes on where another process was, at this node. */
  revive(target: Target, { link, attachedAgoMs }: HandedAttachment): void {
    const { host } = this.connection;
    this.link = link;
    this.permit = NodePermit.ofServed(host, target);
    this.attachedAtMs = Math.ceil(host.now() - attachedAgoMs);
  }

  send(link: Link, packet: Uint8Array): void {
    this.connection.wire.toNode(link, packet, 0, packet.length);
  }

  /** A node has accepted the session on `link`. */
  attach(permit: NodePermit | undefined): void {
    this.permit = permit;
    this.attachedAtMs = Math.ceil(this.connection.host.now()); // what was known of the node before then says nothing
    this.owner.served();
  }

  part(link: Link, closeMode: CloseMode, options?: PartOptions): void {
    part(this.connection.wire, this.owner, link, closeMode, options);
  }

  /** Leaves the node for good. A session that ends with its link is over. */
  leaveNode(closeMode: CloseMode): void {
    this.owner.session.nodeGone();
    this.leaveLink(closeMode);
  }

  /** Leaves the link only: the session may be at another node already. */
  leaveLink(closeMode: CloseMode): void {
    const { link, permit } = this;
    this.link = -1;
    this.permit = undefined;
    this.part(link, closeMode, { permit });
  }

  /**
   * Leaves the node for good, because the connection ends. `attempts` is the search that is under way: its link may
   * be the session's.
   */
  leave(attempts: ConnectAttempts | undefined, closeMode: CloseMode): void {
    const { link, permit } = this;
    this.link = -1;
    this.leaveOld(closeMode);
    if (link < 0 || link === attempts?.link) permit?.release();
    else this.part(link, closeMode, { permit });
    if (link >= 0 && link === attempts?.link && closeMode !== 'goodbye')
      attempts.giveUp(closeMode === 'reset' ? 'reset' : 'flush');
    else attempts?.withdraw();
  }

  private leaveOld(closeMode: CloseMode, options?: PartOptions): void {
    const { oldLink, oldPermit, saidGoodbye } = this;
    this.oldLink = -1;
    this.oldPermit = undefined;
    this.saidGoodbye = false;
    const how = saidGoodbye && closeMode === 'goodbye' ? 'flush' : closeMode;
    if (oldLink >= 0) this.part(oldLink, how, { ...options, permit: oldPermit });
  }

  /** The old node has ended its link, or it is left. */
  oldLinkOver(): void {
    this.oldLink = -1;
    this.oldPermit?.release();
    this.oldPermit = undefined;
    this.saidGoodbye = false;
  }

  /**
   * Says goodbye to the node before another one is asked, which would else have it fire the Will as soon as the session is
   * taken over. The node closes the link when it has done with all that was sent before. False: as in `detach`.
   */
  leaveFirst(): boolean {
    const { session } = this.owner;
    session.nodeGone();
    this.send(this.link, session.goodbye(false));
    this.saidGoodbye = true;
    return this.leaveBehind();
  }

  /**
   * Leaves the node for good, and has the node of `permit` drop what it has begun for the session. The device is
   * alive: it is told `code` then, and its connection closes.
   */
  drop(permit: NodePermit, version: ProtocolVersion, code: ReasonCode): Drop {
    const { connection, link } = this;
    const { session } = this.owner;
    this.isOver = true;
    this.link = -1;
    this.leaveOld('goodbye');
    this.oldPermit = permit; // until it is dropped there
    return new Drop(connection.wire, session, { version, link, target: permit.target }, () => {
      this.oldLinkOver();
      session.endDevice(code);
      connection.close('flush');
    });
  }

  /**
   * Nothing more is taken from the old node. It gets its goodbye when the new node has the session. False: as in
   * `detach`.
   */
  leaveBehind(): boolean {
    this.oldLink = this.link;
    this.oldPermit = this.permit;
    this.link = -1;
    this.permit = undefined;
    return this.detach();
  }

  /**
   * The node that serves is to be left. It finishes what it was sent first, and has so many ms for that: the connection's
   * timer is set.
   */
  quiesce(ms: number): void {
    const { session, connection } = this.owner;
    connection.wire.setTimer(ms);
    session.quiescence.begin();
    this.owner.drainEvents();
  }

  get isQuiescing(): boolean {
    return this.owner.session.quiescence.isUnderWay;
  }

  /** The node serves on: what has waited goes to it. */
  goOn(): void {
    if (!this.isQuiescing) return;
    this.owner.session.release();
    this.owner.drainEvents();
  }

  /** The new node has the session. */
  sayGoodbye(options: PartOptions): void {
    this.leaveOld('goodbye', options);
  }

  /** Takes nothing more from the link. Returns false when the connection has ended with it. */
  detach(): boolean {
    this.owner.adrift();
    if (this.owner.session.detached()) {
      this.owner.drainEvents();
      return !this.isOver;
    }
    this.owner.endInTheMiddle('node-reset');
    return false;
  }
}
