import type { ReasonCode } from '../protocol/mqtt/reason-codes.ts';

/** What the owner of a session must know besides the bytes. Terminal ones are marked: nothing follows on that link. */
export type SessionEvent =
  /** The first node took the device; its CONNACK is on the way to the device. */
  | { readonly kind: 'accepted'; readonly sessionPresent: boolean }
  /**
   * The node's CONNACK refuses the device (terminal). It was not passed on: try another node, or pass `packet` on
   * and close. `packet` is a copy.
   */
  | {
      readonly kind: 'refused';
      readonly code: number;
      readonly serverReference: string | undefined;
      readonly packet: Uint8Array;
    }
  /**
   * Another node has the session, and everything that waited is on its way. `leftBehind`: the node before it may hold
   * an old copy of a session that was to be clean; when the device has gone, purge it there too (`purgeConnect`).
   */
  | { readonly kind: 'resumed'; readonly sessionPresent: boolean; readonly leftBehind: boolean }
  /**
   * Another node has the session, but some of what has to be sent again may have killed the former node: it is not
   * sent until `tryAgain`. Then `resumed` follows, and `acquitted` when the node has answered all of it.
   */
  | { readonly kind: 'suspected' }
  | { readonly kind: 'acquitted' }
  /** The node has finished all that it was sent (`Quiescence`): it can be left. May come more than once. */
  | { readonly kind: 'quiescent' }
  /** The node asks to go elsewhere: 0x8B, 0x9C or 0x9D (terminal). Not passed on: re-attach. */
  | {
      readonly kind: 'node-leaving';
      readonly code: number;
      readonly serverReference: string | undefined;
      readonly packet: Uint8Array;
    }
  /** 0x8E on the link that is up (terminal). Not passed on: `endDevice(0x8e, packet)` if genuine, or re-attach. */
  | { readonly kind: 'taken-over'; readonly packet: Uint8Array }
  /** The node's DISCONNECT with any other reason was passed on (terminal): close both sides. */
  | { readonly kind: 'node-ended'; readonly code: number }
  /** What came is not MQTT, or not allowed (terminal): treat it as a lost link. */
  | { readonly kind: 'node-fault'; readonly detail: string }
  /**
   * The device's DISCONNECT. `forwarded`: it is on its way to the node; close both sides when the node has closed,
   * then purge if `mustPurge`. Otherwise it waits in the offline buffer for the next node, and the event comes
   * again when it has gone.
   */
  | { readonly kind: 'device-left'; readonly forwarded: boolean }
  /**
   * The device cannot be served any longer (terminal). DISCONNECT with `code` is on its way where MQTT 5 has one:
   * flush and close the device, and reset the node so that the Will fires.
   *
   * `drops`: not yet. This node has begun a persistent session that lacks what the device's own had, and that the device
   * would find when it comes back: drop it there, without the Will, and then call `endDevice(code)`.
   */
  | { readonly kind: 'end'; readonly code: ReasonCode; readonly why: EndWhy; readonly drops?: true };

export type EndWhy =
  | 'packet-too-large'
  /** The next node grants less than the device was told (rules 7 and 12). */
  | 'granted-less'
  | 'promised-less'
  /** The session was older than this connection, and no node has it any more: nobody knows its subscriptions. */
  | 'session-lost'
  /** The device's Receive Maximum is used up by old deliveries, and too much waits behind it. */
  | 'too-much-held'
  /** The owner asked (`endDevice`). */
  | 'asked';

export interface SessionOutput {
  /** Valid during the call only, as is everything that is handed over. None of the three may call the session. */
  toNode(bytes: Uint8Array, start: number, end: number): void;
  toDevice(bytes: Uint8Array, start: number, end: number): void;
  event(event: SessionEvent): void;
  /** Does what was given to the device before still wait? Then what it asks for is answered within bounds. */
  isDeviceBehind(): boolean;
}

/** Bounds, in bytes, and what the session cannot know by itself. */
export interface SessionOptions {
  /** Largest packet that is taken from the device, and the most that is kept of an unfinished one. */
  readonly maxPacketBytes: number;
  /** Device bytes kept while no node has the session; beyond it `holdsDevice` is true. */
  readonly maxOfflineBytes: number;
  /** Unacknowledged packets of the device kept for a resend; beyond it `holdsDevice` is true. Each direction. */
  readonly maxInflightBytes: number;
  /** Packets of one side that one call takes; what is left is kept until `goOnDevice` or `goOnNode`. */
  readonly packetsPerCall: number;
  /** Subscriptions and topic aliases kept; beyond it the session is not movable. */
  readonly maxStateBytes: number;
  /** Used where a 3.1.1 device brings an empty client id, which no node would ever reveal (rule 15). */
  readonly clientId: string;
  /** Does a takeover fire the Will at the old node, as the standard has it? EMQX before 5.6 does not. */
  readonly takeoverFiresWill: boolean;
  /** Is a node that lives always left before the next one is asked? */
  readonly leavesFirst: boolean;
  /** Is the rate of the device limited (`Session.pause`)? */
  readonly isPaced: boolean;
  /** Milliseconds, monotonic. Asked only after a move. */
  now(): number;
  /** Packets are counted here by type: 16 of the device, then 16 of nodes. Absent: they are not. */
  readonly messages?: Float64Array | undefined;
  /**
   * PUBLISH packets are counted here, at the place that the session was given: those of the device two behind it, those of
   * nodes three. Absent: they are not.
   */
  readonly traffic?: Float64Array | undefined;
}
