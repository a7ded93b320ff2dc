import type { Immovable, Session } from '../session/index.ts';
import type { EndReason } from './connection-host.ts';
import type { Deaths } from './deaths.ts';
import type { ForwarderHost } from './forwarder.ts';
import type { EndCause } from './wire.ts';

/** What becomes of an order to move: `later` passes by itself. `superseded`: a newer connection has the session. */
export type MoveAnswer = 'moving' | 'later' | 'no-node' | 'superseded' | Immovable;

/** Whose upstream it is. */
export interface UpstreamHost {
  readonly connection: ForwarderHost;
  readonly session: Session;
  /** Has the device been silent for so long that its node may end it for that? */
  readonly isOverdue: boolean;
  /** Call it after every call of the session: it handles the events that the session has reported. */
  drainEvents(): void;
  /** A node serves, or still serves: the connection's timer is the owner's. */
  served(): void;
  /** While a node serves: `HungNode.dueMs` has changed. */
  rewatch(): void;
  /** No node serves any more. */
  adrift(): void;
  /** The node lives and has ended the session: the device is ended in the same way, without a further packet. */
  nodeEnded(cause: EndCause): void;
  /** The same, but it may still read: what has waited goes to it, and what the device says until it ends its side. */
  nodeFinished(): void;
  /** A newer connection has the session. Not `isWhole`: the device has part of a message. */
  takenOver(isWhole: boolean): void;
  /** The device has part of a message, and no other node has the rest. */
  endInTheMiddle(reason: EndReason): void;
  /** The packets that the session had under way to nodes that died. */
  needDeaths(): Deaths;
  end(reason: EndReason): void;
}
