import type { Immovable, Session } from '../session/index.ts';
import type { EndCause } from './wire.ts';
import type { EndReason } from './world.ts';

/**
 * How a node is left. `reset`: as by a device that vanished, so that its Will fires. `goodbye`: with a DISCONNECT of
 * ours, so that it does not. `flush`: behind whatever the device said last.
 */
export type Parting = 'reset' | 'goodbye' | 'flush';

/** What becomes of an order to move: `later` passes by itself. */
export type MoveAnswer = 'moving' | 'later' | 'no-node' | Immovable;

/** Whose journey it is. */
export interface Traveller {
  readonly session: Session;
  /** To be called after every call of the session: does what the session has told. */
  settle(): void;
  /** A node serves, or still serves: the connection's timer is the traveller's. */
  served(): void;
  /** No node serves any more. */
  adrift(): void;
  /** The node has ended the session, and lives: the device is ended as it was, and told nothing more. */
  nodeEnded(cause: EndCause): void;
  end(reason: EndReason): void;
}
