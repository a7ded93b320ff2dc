import type { Session } from '../session/index.ts';
import type { Link, Target, Wire } from './wire.ts';

/** For the node to answer. */
const TIMEOUT_MS = 5_000;
const CONNACK = 0x20;

/**
 * A node was asked to keep a session that was to be clean; now that the device has gone, the node is told to drop it
 * (rule 2): on a link of its own, with the same client id and a clean session. The connection's timer is this object's.
 */
export class Purge {
  private readonly wire: Wire;
  private readonly session: Session;
  private link: Link;

  constructor(wire: Wire, session: Session, target: Target) {
    this.wire = wire;
    this.session = session;
    this.link = wire.dial(target, true);
    wire.setTimer(TIMEOUT_MS);
  }

  opened(): void {
    this.send(this.session.purgeConnect());
  }

  /** The first bytes that come: CONNACK, whatever it says, or nonsense. */
  answered(bytes: Uint8Array, start: number): void {
    if (bytes[start] !== CONNACK) return this.giveUp();
    this.send(this.session.goodbye(true));
    this.end('flush');
  }

  /** The dial failed: there is no link any more. */
  failed(): void {
    this.link = -1;
  }

  giveUp(): void {
    this.end('reset');
  }

  private send(packet: Uint8Array): void {
    this.wire.toNode(this.link, packet, 0, packet.length);
  }

  private end(how: 'flush' | 'reset'): void {
    if (this.link >= 0) this.wire.endNode(this.link, how);
    this.link = -1;
  }
}
