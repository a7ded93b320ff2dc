import type { ProtocolVersion } from '../mqtt/protocol.ts';
import { disconnectPacket, type ReasonCode } from '../mqtt/reason-codes.ts';
import { Aliases } from './aliases.ts';
import { Deliveries } from './deliveries.ts';
import type { EndWhy, SessionEvent, SessionOptions, SessionOutput } from './events.ts';
import { Gap } from './gap.ts';
import { Outlet } from './outlet.ts';
import { Subscriptions } from './subscriptions.ts';
import { plainTerms, type Terms } from './terms.ts';
import { Window } from './window.ts';

/**
 *   connecting ──CONNACK──► attached ──detached()──► detached ──CONNACK, session present──► attached
 *                              ▲                        └─CONNACK, no session─► rebuilding ──last SUBACK──┘
 *   any ──DISCONNECT, fault──► over
 */
export type Phase = 'connecting' | 'attached' | 'detached' | 'rebuilding' | 'over';

/** A replayed SUBSCRIBE that the node has not answered: packet id, and the QoS that each filter must be granted. */
export interface Replay {
  readonly id: number;
  readonly qos: readonly number[];
}

/**
 * Everything that is remembered of one session. What most sessions never need is made when it is first needed,
 * because there is one of these for each of very many devices.
 */
export class State {
  readonly version: ProtocolVersion;
  readonly options: SessionOptions;
  readonly toNode: Outlet;
  readonly toDevice: Outlet;
  private readonly output: SessionOutput;
  phase: Phase = 'connecting';
  /** Has the node on this link answered CONNECT, one way or the other? */
  answered = false;
  /** Nothing more of this link is understood or wanted: the fence behind `detached()` (rule 14). */
  linkDead = false;
  /** Has a node been asked for the session, and not answered? */
  asking = false;
  /** Nodes that have taken the session so far. */
  attachments = 0;
  /** The device had the session before this connection, so its subscriptions are not all known. */
  inherited = false;
  /**
   * Session Present 1 proves nothing: a node before did not have the session, or was asked and not heard, so the next
   * may have an old copy, or an empty one that was made by asking.
   */
  doubtful = false;
  /** The first PINGRESP of this link tells that the node has redelivered all that it will. */
  settling = false;
  /** A 3.1.1 node has been asked, with clean session 0, for a session that was to be clean (rule 2). */
  mustPurge = false;
  /** Of the last CONNACK. */
  sessionPresent = false;
  deviceLeft = false;
  /** The rest of a PUBLISH whose first part went to a lost link is dropped; QoS 0 only. */
  cut = false;
  /** What the device was told by its one CONNACK, and what the node on this link promised. */
  told: Terms = plainTerms;
  terms: Terms = plainTerms;
  readonly deviceReceiveMaximum: number;
  /** PINGRESPs that the device waits for, and that the node on this link owes. */
  pingsOwed = 0;
  pingsSent = 0;
  /** PUBLISH, SUBSCRIBE and UNSUBSCRIBE of the device that no node has acknowledged. */
  window: Window | undefined;
  /** Messages on their way to the device. */
  deliveries: Deliveries | undefined;
  /** Messages that wait because the device's Receive Maximum is used up by a lost node's. */
  held: Window | undefined;
  subscriptions: Subscriptions | undefined;
  aliases: Aliases | undefined;
  gap: Gap | undefined;
  replays: Replay[] | undefined;
  /** Subscriptions were replayed on this link, so retained messages may come again (rule 8). */
  replayed = false;
  /** Packet ids of QoS 2 messages that were kept from the device and are being finished with the node. */
  swallowed: Set<number> | undefined;

  constructor(
    version: ProtocolVersion,
    deviceReceiveMaximum: number,
    options: SessionOptions,
    output: SessionOutput,
  ) {
    this.version = version;
    this.deviceReceiveMaximum = deviceReceiveMaximum;
    this.options = options;
    this.output = output;
    this.toNode = new Outlet(output, 'node');
    this.toDevice = new Outlet(output, 'device');
  }

  needWindow(): Window {
    this.window ??= new Window();
    return this.window;
  }

  needDeliveries(): Deliveries {
    this.deliveries ??= new Deliveries();
    return this.deliveries;
  }

  needHeld(): Window {
    this.held ??= new Window();
    return this.held;
  }

  needSubscriptions(): Subscriptions {
    this.subscriptions ??= new Subscriptions();
    return this.subscriptions;
  }

  needAliases(): Aliases {
    this.aliases ??= new Aliases();
    return this.aliases;
  }

  needGap(): Gap {
    this.gap ??= new Gap();
    return this.gap;
  }

  event(event: SessionEvent): void {
    this.output.event(event);
  }

  /** Ends the device's side with a reason; 3.1.1 has no word for it and is just closed. */
  end(code: ReasonCode, why: EndWhy): void {
    if (this.phase === 'over') return;
    if (this.version === 5 && this.attachments > 0) this.toDevice.write(disconnectPacket(code));
    this.phase = 'over';
    this.event({ kind: 'end', code, why });
  }

  nodeFault(detail: string): void {
    this.answered = true;
    this.linkDead = true;
    this.event({ kind: 'node-fault', detail });
  }
}
