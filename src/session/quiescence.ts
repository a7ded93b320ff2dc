import { packetType, pingreqPacket } from './encode.ts';
import type { State } from './state.ts';

/**
 * How a node is left that has the session, and lives (rule 4): it first finishes what it was sent. Else two nodes would have one
 * message of QoS 2, and both might pass it on; and of nodes that share nothing, the one that is left would keep what it has
 * acknowledged.
 *
 * What the device begins waits meanwhile, as behind `Session.withhold`. Its acknowledgements go on, because exchanges end by
 * them. PINGRESP shows that the node has taken all that was before it.
 */
export class Quiescence {
  private readonly state: State;

  constructor(state: State) {
    this.state = state;
  }

  /** The event `quiescent` follows, some time. It ends by `Session.release`, or with the link (`Session.detached`). */
  begin(): void {
    const { state } = this;
    const migration = state.needMigration();
    state.isWithheld = true;
    migration.quiesces = true;
    migration.passesAcknowledgements = state.offlineBuffer === undefined; // else older ones wait there
    state.pingsSent++;
    state.toNode.write(pingreqPacket);
    state.flush();
  }

  /** Is the node still being sent what the one before had not acknowledged? Then it cannot finish that. */
  get isTooEarly(): boolean {
    return this.state.isResending;
  }

  get isUnderWay(): boolean {
    return this.state.migration?.quiesces === true;
  }
}

/** Does this packet of the device end what its node was sent, or gave? */
export function isToFinish(s: State, type: number): boolean {
  if (s.migration === undefined || !s.migration.quiesces || !s.migration.passesAcknowledgements) return false;
  return type >= packetType.puback && type <= packetType.pubcomp;
}

/** The node has answered something. */
export function answered(s: State): void {
  if (s.migration === undefined || !s.migration.quiesces) return;
  if (s.pingsSent === 0 && (s.inflightFromDevice?.open ?? 0) === 0) s.event({ kind: 'quiescent' });
}
