import type { Session } from '../session/index.ts';
import type { EndReason, PoolRoute } from './connection-host.ts';
import type { Evidence } from './evidence.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { HandedDeaths } from './handed-forwarder.ts';
import { Trial } from './trial.ts';
import type { Target } from './wire.ts';

/** Whose session it is. */
interface Bereaved {
  readonly session: Session;
  drainEvents(): void;
  end(reason: EndReason): void;
}

/** No node has died. */
export const noDeaths: HandedDeaths = { origin: '', isSudden: false };

/** What a session had under way to nodes that died (decision 14). */
export class Deaths {
  private readonly connection: ForwarderHost;
  private readonly owner: Bereaved;
  private trial: Trial | undefined;
  /** The last node that died. */
  private origin = '';
  /** The node was lost within a moment of what was sent to it again. */
  private isSudden = false;

  constructor(connection: ForwarderHost, owner: Bereaved) {
    this.connection = connection;
    this.owner = owner;
  }

  /**
   * The node that served is gone. Returns false when the connection has ended with it, because another node had
   * died of the same packet.
   */
  survives({ nodeId }: Target, evidence: Evidence): boolean {
    const { connection, owner, isSudden } = this;
    if (evidence === 'leaving' || evidence === 'removed') return true;
    this.origin = nodeId;
    this.isSudden = false;
    const suspect = owner.session.suspects.nodeDied(isSudden);
    if (suspect === undefined) return true;
    connection.host.convicted(connection, suspect);
    owner.end('deadly-packet');
    return false;
  }

  /** For another process. A trial whose moment has passed is not decided any more, and stays behind. */
  describe(): HandedDeaths | undefined {
    const { trial, origin, isSudden } = this;
    return trial?.isOpen ? undefined : { origin, isSudden };
  }

  /** Goes on where another process was. */
  revive({ origin, isSudden }: HandedDeaths): void {
    this.origin = origin;
    this.isSudden = isSudden;
  }

  /** Another node has the session. Packets that the former node may have died of are sent when it is their turn. */
  suspected(node: Target | undefined, route: PoolRoute): void {
    const { connection, owner, origin } = this;
    if (node === undefined) return;
    this.isSudden = false; // what the node before was sent says nothing of this one
    this.trial = new Trial(connection, node, route.hasOther([node.nodeId, origin]), () => {
      owner.session.suspects.tryAgain();
      owner.drainEvents();
    });
  }

  /** The node has answered, or is lost, or the connection ends. */
  over(): void {
    if (this.trial !== undefined) this.isSudden = this.trial.end();
    this.trial = undefined;
  }

  /** Returns false when no turn is waited for: then the timer belongs to another part. */
  timer(): boolean {
    if (!this.trial?.isWaiting) return false;
    this.trial.timer();
    return true;
  }
}
