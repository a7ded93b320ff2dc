import type { Session } from '../session/index.ts';
import type { Link, Target, Wire } from './wire.ts';

/** For the node to answer. */
const TIMEOUT_MS = 5_000;
const CONNACK = 0x20;

/**
 * After a device has gone, asks nodes to drop a session that the device wanted clean, and that we had asked them to
 * keep (rule 2). Each is asked on a link of its own, with the same client id and a clean session. The connection's
 * timer is this object's.
 */
export class StaleSessionPurge {
  private readonly wire: Wire;
  private readonly session: Session;
  private readonly links: Set<Link>;

  constructor(wire: Wire, session: Session, targets: readonly Target[]) {
    this.wire = wire;
    this.session = session;
    this.links = new Set(targets.map((target) => wire.dial(target)));
    wire.setTimer(TIMEOUT_MS);
  }

  opened(link: Link): void {
    this.send(link, this.session.purgeConnect());
  }

  /** The first bytes of the node have come. Whether they are CONNACK or not makes no difference. */
  answered(link: Link, bytes: Uint8Array, start: number): void {
    if (bytes[start] !== CONNACK) return this.end(link);
    this.send(link, this.session.goodbye(true));
    this.end(link, 'flush');
  }

  /** The dial failed: there is no link any more. */
  failed(link: Link): void {
    this.links.delete(link);
  }

  end(link: Link, how: 'flush' | 'reset' = 'reset'): void {
    if (this.links.delete(link)) this.wire.endNode(link, how);
  }

  giveUp(): void {
    for (const link of this.links) this.end(link);
  }

  private send(link: Link, packet: Uint8Array): void {
    if (this.links.has(link)) this.wire.toNode(link, packet, 0, packet.length);
  }
}
