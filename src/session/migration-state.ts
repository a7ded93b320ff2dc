import { Aliases } from './aliases.ts';
import { FreshFilters } from './fresh-filters.ts';
import type { HandedMigration } from './handed.ts';
import { InflightFromDevice } from './inflight-from-device.ts';
import { stage } from './stages.ts';

/** Stages of held messages; both keep the message. */
const HELD = stage.sent;
const ORPHANED = stage.waiting;

/** What only a session that has lost a link must remember; most never do. */
export class MigrationState {
  /** A node has been asked for the session, and has not answered. */
  asking = false;
  /**
   * Session Present 1 does not prove that the node has this session: a former node did not have it, or was asked
   * and its answer not heard. The next node may have an old copy, or an empty one that was made by asking.
   */
  doubtful = false;
  /** The session has ended with the link to its node: the next one begins anew. */
  isOver = false;
  /** A 3.1.1 node has been asked, with clean session 0, for a session that was to be clean (rule 2). */
  mustPurge = false;
  /** The rest of a PUBLISH whose first part went to a lost link is dropped; QoS 0 only. */
  cut = false;
  /** Messages that wait because the device's Receive Maximum is used up by a lost node's (rule 11). */
  held: InflightFromDevice | undefined;

  /** Suspects were sent to a node and are not all answered: `InflightFromDevice.suspects` tells. */
  isOnTrial = false;

  /** The node is to be left, and finishes what it was sent first (`Quiescence`). */
  quiesces = false;
  /** Acknowledgements of the device go to it meanwhile. */
  passesAcknowledgements = false;

  // Of the link that is up:

  /** The node was asked for a new session: what it had under the client id belonged to another connection. */
  anew = false;
  sessionPresent = false;
  /** Replayed SUBSCRIBEs that the node has not answered: by packet id, the QoS that each filter must be granted. */
  replays: Map<number, readonly number[]> | undefined;
  /** Until then, by the options' clock, RETAIN 1 may answer subscriptions that were replayed (rule 8). */
  retainedUntilMs = 0;
  /** So many PUBLISHes may still be sent again, as long as the node acknowledges none. */
  room = 0;
  /** Packet ids of the device's QoS 2 exchanges that were begun at a node before, and that this one has not ended. */
  resent: Set<number> | undefined;
  /** Filters for which the device asked on this link itself, where subscriptions were replayed. */
  fresh: FreshFilters | undefined;
  /** Packet ids of QoS 2 messages that were kept from the device and are being finished with the node. */
  swallowed: Set<number> | undefined;
  /** The rest of a PUBLISH that the device is not to have is dropped. */
  drops = false;
  /** Topic aliases that the node has given. */
  nodeAliases: Aliases | undefined;
  /** The first PINGRESP will show that the node has redelivered everything that it has. */
  awaitsRedelivery = false;

  linkLost(): void {
    this.isOnTrial = false;
    this.quiesces = false;
    this.replays = undefined;
    this.retainedUntilMs = 0;
    this.resent = undefined;
    this.fresh = undefined;
    this.swallowed = undefined;
    this.drops = false;
    this.nodeAliases = undefined;
    this.awaitsRedelivery = false;
  }

  /** For another process. `replays` are of a session that is being rebuilt. */
  describe(nowMs: number): HandedMigration {
    const { asking, doubtful, isOver, mustPurge, cut, isOnTrial, anew, sessionPresent, room, drops } = this;
    const { held, retainedUntilMs, resent, fresh, swallowed, nodeAliases, awaitsRedelivery } = this;
    return {
      ...{ asking, doubtful, isOver, mustPurge, cut, isOnTrial, anew, sessionPresent, room, drops },
      held: held?.describe(),
      retainedForMs: Math.max(0, retainedUntilMs - nowMs),
      resent: resent && new Set(resent),
      fresh: fresh?.describe(),
      swallowed: swallowed && new Set(swallowed),
      nodeAliases: nodeAliases?.describe(),
      awaitsRedelivery,
    };
  }

  static revive(handed: HandedMigration, now: () => number): MigrationState {
    const { held, retainedForMs, fresh, nodeAliases, ...rest } = handed;
    const migration = Object.assign(new MigrationState(), rest);
    migration.held = held && new InflightFromDevice().revive(held);
    migration.retainedUntilMs = retainedForMs > 0 ? now() + retainedForMs : 0;
    migration.fresh = fresh && FreshFilters.revive(fresh);
    migration.nodeAliases = nodeAliases && Aliases.revive(nodeAliases);
    return migration;
  }

  resentQos2(id: number): void {
    this.resent ??= new Set();
    this.resent.add(id);
  }

  hold(id: number, bytes: Uint8Array, start: number, end: number): InflightFromDevice {
    this.held ??= new InflightFromDevice();
    this.held.append(id, HELD, bytes, start, end);
    return this.held;
  }

  /** The node that sent what is held does not know it any more. */
  orphanHeld(): void {
    const { held } = this;
    for (let at = held?.first() ?? -1; held !== undefined && at >= 0; at = held.next(at)) {
      held.setStage(at, ORPHANED);
    }
  }

  isOrphaned(held: InflightFromDevice, at: number): boolean {
    return held.stage(at) === ORPHANED;
  }

  get holds(): boolean {
    return this.held !== undefined && this.held.count > 0;
  }
}
