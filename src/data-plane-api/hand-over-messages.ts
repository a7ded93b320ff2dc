import type { HandedConnection, HandedPeer } from '../connection/handed.ts';
import type { HandedSockets } from '../engine/handed-sockets.ts';

/** What is said between the main thread and a worker while one process hands over to another; see `messages.ts`. */

/** A connection that stands still, as a value: another worker, of this process or another, goes on with it. */
export interface HandedDevice {
  /** Index of the listener. */
  readonly listener: number;
  readonly sockets: HandedSockets;
  readonly peer: HandedPeer;
  readonly state: HandedConnection;
  /** As in `Accepted`: the broker has accepted it. */
  readonly accepted?: HandedAcceptance | undefined;
}

interface HandedAcceptance {
  readonly pool: string;
  readonly clientId: string;
  readonly who: number;
  readonly sinceMs: number;
}

export type HandOverCommand =
  /** Which sockets listen. Answered by `descriptors`. */
  | { readonly type: 'listening'; readonly request: number }
  /** Accepts nobody, or goes on: whoever connects meanwhile waits. The HTTP thread accepts all the same. */
  | { readonly type: 'hold'; readonly on: boolean }
  /** Another process accepts from now on: listening sockets are closed, and all else goes on. */
  | { readonly type: 'leave' }
  /** Has at most so many further connections stand still. Answered by `handing`; then comes `given`. */
  | { readonly type: 'hand-over'; readonly request: number; readonly most: number }
  /** Another worker has what was handed over last, but those at these places, which go on; `all` go on. */
  | { readonly type: 'given'; readonly kept: readonly number[] | 'all' }
  /** Makes these connections, which stand still until `begin`. `ofDead`: the thread that had them has died. Answered by `adopted`. */
  | {
      readonly type: 'adopt';
      readonly request: number;
      readonly devices: readonly HandedDevice[];
      readonly ofDead?: boolean;
    }
  /** What was adopted goes on. */
  | { readonly type: 'begin' };

/** The sockets of one listener. */
export interface Listening {
  readonly index: number;
  readonly descriptors: readonly number[];
}

export type HandOverReport =
  | { readonly type: 'descriptors'; readonly request: number; readonly listeners: readonly Listening[] }
  /** `busy`: so many could not be stopped just now, of those that were looked at. None, and none busy: there are no others. */
  | {
      readonly type: 'handing';
      readonly request: number;
      readonly devices: readonly HandedDevice[];
      readonly busy: number;
    }
  /** The thread ends, by a fault: its descriptors of these are whoever's takes them. All of it comes before the thread's end. */
  | {
      readonly type: 'left';
      readonly devices: readonly HandedDevice[];
      readonly listeners: readonly Listening[];
    }
  /** Which of them cannot be gone on with here, and why; their descriptors were not touched. */
  | { readonly type: 'adopted'; readonly request: number; readonly refused: readonly Refusal[] };

interface Refusal {
  /** Place in the command. */
  readonly at: number;
  readonly why: string;
}
