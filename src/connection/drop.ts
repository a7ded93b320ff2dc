import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import type { Session } from '../session/index.ts';
import type { Link, Target, Wire } from './wire.ts';

/** How long the node may take. The device waits for it. */
const TIMEOUT_MS = 1_000;

/**
 * A node has begun a persistent session for our CONNECT that lacks what the device's own had. It is dropped there before
 * the device is let go, which would otherwise come back to it and be told Session Present 1 (rule 2):
 *
 *   MQTT 5   DISCONNECT with Session Expiry Interval 0 ──► the node ends the link ──► `done`
 *   before   DISCONNECT; a link of its own: CONNECT with clean session 1 ──► CONNACK ──► DISCONNECT ──► likewise
 *
 * The connection's timer is this object's until `done`, which is called once, whatever happens: nothing is said in the
 * name of the device any more when it comes back.
 */
export class Drop {
  private readonly wire: Wire;
  private readonly session: Session;
  private readonly done: () => void;
  private link: Link;
  /** DISCONNECT is on its way. */
  private hasLeft = false;

  /** `link` is where the node has begun it. */
  constructor(
    wire: Wire,
    session: Session,
    at: { readonly version: ProtocolVersion; readonly link: Link; readonly target: Target },
    done: () => void,
  ) {
    this.wire = wire;
    this.session = session;
    this.done = done;
    this.link = at.link;
    if (at.version === 5) this.leave();
    else {
      this.send(session.goodbye(true));
      wire.endNode(at.link, 'flush');
      this.link = wire.dial(at.target, true);
    }
    wire.setTimer(TIMEOUT_MS);
  }

  private leave(): void {
    this.send(this.session.goodbye(true));
    this.wire.finishNode(this.link);
    this.hasLeft = true;
  }

  private send(packet: Uint8Array): void {
    this.wire.toNode(this.link, packet, 0, packet.length);
  }

  opened(link: Link): void {
    if (link === this.link) this.send(this.session.purgeConnect());
  }

  /** CONNACK, whatever it says; or what the node had said before it was left. */
  answered(link: Link): void {
    if (link === this.link && !this.hasLeft) this.leave();
  }

  /** The dial failed: there is no link any more. */
  failed(link: Link): void {
    if (link === this.link) this.finish();
  }

  end(link: Link): void {
    if (link !== this.link) return;
    this.wire.endNode(link, 'flush');
    this.finish();
  }

  /** The CONNECT has been sent, and has dropped the session; or it cannot reach the node. */
  giveUp(): void {
    if (this.link < 0) return;
    this.wire.endNode(this.link, this.hasLeft ? 'flush' : 'reset');
    this.finish();
  }

  private finish(): void {
    this.link = -1;
    this.done();
  }
}
