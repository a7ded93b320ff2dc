import type { Immovable, Session } from '../session/index.ts';
import type { EndReason } from './connection-host.ts';
import type { Deaths } from './deaths.ts';
import type { EndCause } from './wire.ts';

/** What becomes of an order to move: `later` passes by itself. `superseded`: a newer connection has the session. */
export type MoveAnswer = 'moving' | 'later' | 'no-node' | 'superseded' | Immovable;

/** Whose upstream it is. */
export interface UpstreamHost {
  readonly session: Session;
  /** To be called after every call of the session: does what the session has told. */
  drainEvents(): void;
  /** A node serves, or still serves: the connection's timer is the owner's. */
  served(): void;
  /** While a node serves: `HungNode.dueMs` has changed. */
  rewatch(): void;
  /** No node serves any more. */
  adrift(): void;
  /** The node has ended the session, and lives: the device is ended as it was, and told nothing more. */
  nodeEnded(cause: EndCause): void;
  /** A newer connection has the session. Not `isWhole`: the device has part of a message. */
  takenOver(isWhole: boolean): void;
  /** Of a message that the device has in part, no other node has the rest. */
  endInTheMiddle(reason: EndReason): void;
  /** What the session had under way to nodes that died. */
  readonly deaths: Deaths;
  end(reason: EndReason): void;
}
