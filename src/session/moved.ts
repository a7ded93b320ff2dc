import type { Aliases } from './aliases.ts';
import { Window } from './window.ts';

/** A replayed SUBSCRIBE that the node has not answered: packet id, and the QoS that each filter must be granted. */
export interface Replay {
  readonly id: number;
  readonly qos: readonly number[];
}

/** What only a session that has lost a link must remember; most never do. */
export class Moved {
  /** Has a node been asked for the session, and not answered? */
  asking = false;
  /**
   * Session Present 1 proves nothing: a node before did not have the session, or was asked and not heard, so the next
   * may have an old copy, or an empty one that was made by asking.
   */
  doubtful = false;
  /** The session has ended with the link to its node: the next one begins anew. */
  isOver = false;
  /** A 3.1.1 node has been asked, with clean session 0, for a session that was to be clean (rule 2). */
  mustPurge = false;
  /** The rest of a PUBLISH whose first part went to a lost link is dropped; QoS 0 only. */
  cut = false;
  /** Messages that wait because the device's Receive Maximum is used up by a lost node's (rule 11). */
  held: Window | undefined;

  // Of the link that is up:

  /** Its node was asked for a new session: what it may have had under the client id is another's. */
  anew = false;
  sessionPresent = false;
  replays: Replay[] | undefined;
  /** Until then, by the options' clock, RETAIN 1 may answer subscriptions that were replayed (rule 8). */
  retainedUntilMs = 0;
  /** Packet ids of the device's QoS 2 exchanges that were begun at a node before, and that this one has not ended. */
  resent: Set<number> | undefined;
  /** Packet ids of QoS 2 messages that were kept from the device and are being finished with the node. */
  swallowed: Set<number> | undefined;
  /** Topic aliases that the node has given. */
  nodeAliases: Aliases | undefined;
  /** The first PINGRESP tells that the node has redelivered all that it will. */
  settling = false;

  linkLost(): void {
    this.replays = undefined;
    this.retainedUntilMs = 0;
    this.resent = undefined;
    this.swallowed = undefined;
    this.nodeAliases = undefined;
    this.settling = false;
  }

  resentQos2(id: number): void {
    this.resent ??= new Set();
    this.resent.add(id);
  }

  hold(
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    stage: Parameters<Window['append']>[1],
  ): Window {
    this.held ??= new Window();
    this.held.append(id, stage, bytes, start, end);
    return this.held;
  }

  get holds(): boolean {
    return this.held !== undefined && this.held.count > 0;
  }
}
