import type { HeldBack } from './packet-writer.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What happens to few sessions, and then is remembered of them. */
export class Rare {
  /** Packets that wait until another has been streamed. */
  heldBack: HeldBack | undefined;
  /** Of an inherited session only: what the device has unsubscribed since this connection began. */
  unsubscribed: Subscriptions | undefined;
  /** The list was too large to be kept: what is remembered of the session is of no use then. */
  isBeyondRecall = false;
  /** Seconds that the session outlives the connection, where the device's DISCONNECT has said so. */
  expiryAtEnd: number | undefined;
  /** Subscriptions and aliases were more than may be kept: none is kept, and the session stays at its node. */
  overflown = false;
  /** The device sent something that could not be followed, so the state at the node is unknown: the session stays. */
  notUnderstood = false;
  /** The node has asked the device to go on with an enhanced authentication. */
  authenticates = false;
  /** PINGREQs of the device that the standard does not allow: the node may answer each, or end the link. */
  pingsOdd = 0;
  /** PINGRESPs that went to the device for one of those though ours was owed too: as many are still to come for us. */
  pingsSpare = 0;
}

/** None of it. */
export const nothingRare: Readonly<Rare> = Object.freeze(new Rare());
