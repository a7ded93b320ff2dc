/** The state of one session, with what always holds in it. Functions in the other files change it. */

import { bufferOf, GrowableBuffer } from '../base/growable-buffer.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';
import type { ProtocolVersion } from '../protocol/mqtt/protocol.ts';
import { disconnectPacket, type ReasonCode, reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { Aliases } from './aliases.ts';
import { type ConnackCapabilities, interned, plainCapabilities } from './connack-capabilities.ts';
import { packetType } from './encode.ts';
import type { EndWhy, SessionEvent, SessionOptions, SessionOutput } from './events.ts';
import type { HandedState } from './handed.ts';
import { InflightFromDevice } from './inflight-from-device.ts';
import { InflightToDevice } from './inflight-to-device.ts';
import { MigrationState } from './migration-state.ts';
import { ObjectPool } from './object-pool.ts';
import { PacketWriter, type Speaker } from './packet-writer.ts';
import { nothingRare, Rare } from './rare.ts';
import { Subscriptions } from './subscriptions.ts';

const OFFLINE_CAPACITY = 256;
const uncounted = new Float64Array(32);
/** At most so many filters of one packet are looked at: a packet with more is too much to be remembered. */
const MOST_FILTERS = 8192;
/** In-flight tables of each kind that are kept ready for other sessions. */
const POOLED_MAX = 64;

const nodeWriter = new PacketWriter('node');
const deviceWriter = new PacketWriter('device');
const windows = new ObjectPool(() => new InflightFromDevice(), POOLED_MAX);
const tables = new ObjectPool(() => new InflightToDevice(), POOLED_MAX);

/**
 *   connecting ──CONNACK──► attached ──detached()──► detached ──CONNACK, session present──► attached
 *                              ▲                        └─CONNACK, no session─► rebuilding ──last SUBACK──┘
 *   attached ──the device has said its last──► leaving
 *   any ──the node's DISCONNECT, fault──► over
 */
export type Phase = 'connecting' | 'attached' | 'detached' | 'rebuilding' | 'leaving' | 'over';

/**
 * Everything that is remembered of one session. What most sessions never need is made when it is first needed,
 * because there is one of these for each of very many devices.
 *
 * What always holds between two calls:
 *
 * - `linkDead` from `detached`, or a fault of the node, to `turn`: nothing of a link that was left is taken (rule 14).
 * - What the device sends goes to the node at once (`forwards`) only while nothing older of it waits, so order holds (rule 19).
 * - `offlineBuffer` has whole packets only, none of which a node was given.
 * - A PUBLISH of QoS 1 or 2, a SUBSCRIBE or an UNSUBSCRIBE that was given to a node has an entry in `inflightFromDevice` until a
 *   node has answered it. PUBACK, PUBREC, SUBACK and UNSUBACK reach the device only when a node gave them (rule 6).
 * - `advertised` is set by the first CONNACK and by no later one (rule 12, 16); `terms` are those of the link that is up.
 * - `subscriptions` are what a node has granted; undefined with `rare.overflown`: then the session stays.
 * - `inflightFromDevice` and `inflightToDevice` are undefined while they would be empty: another session has them then.
 */
export class State implements Speaker {
  readonly connect: Connect;
  readonly options: SessionOptions;
  readonly output: SessionOutput;
  rare = nothingRare;
  phase: Phase = 'connecting';
  /** Packets that the present call may still take, so that no session holds the worker for long. */
  budget = 0;
  /** Has the node on this link answered CONNECT, one way or the other? */
  answered = false;
  /** Nothing more of this link is taken: `detached()` was called, or it broke the protocol (rule 14). */
  linkDead = false;
  /** Nodes that have taken the session so far. */
  attachments = 0;
  /** The device had the session before this connection, so its subscriptions are not all known. */
  inherited = false;
  deviceLeft = false;
  /** The node that has the session is silent: it is sent nothing until it answers (`Session.withhold`). */
  isWithheld = false;
  /** What the device was told by its one CONNACK, and what the node on this link promised. */
  advertised: ConnackCapabilities = plainCapabilities;
  terms: ConnackCapabilities = plainCapabilities;
  /** PINGRESPs that the device waits for, and that the node on this link owes. */
  pingsOwed = 0;
  pingsSent = 0;
  /** PINGREQs that were answered while no node had the session, since the device last took all that it was given. */
  pingsBehind = 0;
  /** It is not known yet whether a node will answer them, or the link has ended for the device too. */
  pingsWait = false;
  /** PUBLISH, SUBSCRIBE and UNSUBSCRIBE of the device that no node has acknowledged. */
  inflightFromDevice: InflightFromDevice | undefined;
  /** Messages on their way to the device. */
  inflightToDevice: InflightToDevice | undefined;
  subscriptions: Subscriptions | undefined;
  aliases: Aliases | undefined;
  /** Whole packets that the device sent while no node had its session. */
  offlineBuffer: GrowableBuffer | undefined;
  migration: MigrationState | undefined;
  /** Where in `traffic` its PUBLISH packets are counted. */
  place = 0;
  /** The device is faster than it may be. */
  isPaused = false;
  /** PUBLISH packets and bytes that went to the node since they were last billed. */
  billedMessages = 0;
  billedBytes = 0;

  constructor(connect: Connect, options: SessionOptions, output: SessionOutput) {
    this.connect = connect;
    this.options = options;
    this.output = output;
  }

  /** Does what the device sends go to the node at once? Not while something waits before it, or it must wait itself. */
  get forwards(): boolean {
    return this.phase === 'attached' && !this.isBehind && !this.isPaused && !this.isWithheld;
  }

  /** Does something of the device wait that a node could be sent: what is sent again, or the offline buffer? */
  get isBehind(): boolean {
    return this.offlineBuffer !== undefined || this.isResending;
  }

  /** Is the node being sent what another had not acknowledged? */
  get isResending(): boolean {
    return this.inflightFromDevice !== undefined && this.inflightFromDevice.nextResend >= 0;
  }

  /** So many bytes of a packet of this type go to the node. Without rates nobody asks for them, and they would grow for ever. */
  bill(type: number, bytes: number): void {
    if (!this.options.isPaced) return;
    if (type === packetType.publish) this.billedMessages++;
    this.billedBytes += bytes;
  }

  /** Reports what was billed since the last call. */
  billTo(to: { spend(messages: number, bytes: number, nowMs: number): void }, nowMs: number): void {
    to.spend(this.billedMessages, this.billedBytes, nowMs);
    this.billedMessages = 0;
    this.billedBytes = 0;
  }

  get version(): ProtocolVersion {
    return this.connect.protocolVersion;
  }

  get messages(): Float64Array {
    return this.options.messages ?? uncounted;
  }

  get traffic(): Float64Array {
    return this.options.traffic ?? uncounted;
  }

  get toNode(): PacketWriter {
    return nodeWriter.of(this);
  }

  get toDevice(): PacketWriter {
    return deviceWriter.of(this);
  }

  needInflightFromDevice(): InflightFromDevice {
    this.inflightFromDevice ??= windows.take();
    return this.inflightFromDevice;
  }

  needInflightToDevice(): InflightToDevice {
    this.inflightToDevice ??= tables.take();
    return this.inflightToDevice;
  }

  needRare(): Rare {
    if (this.rare === nothingRare) this.rare = new Rare();
    return this.rare;
  }

  /** The node that may answer them is gone. */
  forgetOddPings(): void {
    if (this.rare !== nothingRare) Object.assign(this.needRare(), { pingsOdd: 0, pingsSpare: 0 });
  }

  needSubscriptions(): Subscriptions {
    this.subscriptions ??= new Subscriptions();
    return this.subscriptions;
  }

  needAliases(): Aliases {
    this.aliases ??= new Aliases();
    return this.aliases;
  }

  needMigration(): MigrationState {
    this.migration ??= new MigrationState();
    return this.migration;
  }

  needOfflineBuffer(): GrowableBuffer {
    this.offlineBuffer ??= new GrowableBuffer(OFFLINE_CAPACITY);
    return this.offlineBuffer;
  }

  /** What was written in this call is sent together. */
  flush(): void {
    this.toNode.flush();
    this.toDevice.flush();
    this.giveBack();
  }

  /** Nothing is in flight: gives the tables back, so that another session may use them. */
  giveBack(): void {
    if (this.inflightFromDevice?.count === 0) {
      windows.give(this.inflightFromDevice);
      this.inflightFromDevice = undefined;
    }
    if (this.inflightToDevice?.isEmpty) {
      tables.give(this.inflightToDevice);
      this.inflightToDevice = undefined;
    }
  }

  /** Before MQTT 5 no node reveals the client id that it has chosen for such a device. */
  get isNameless(): boolean {
    return this.version !== 5 && this.connect.clientId === '';
  }

  /** Does the session end with the link to its node, and is all of it known? */
  get endsWithLink(): boolean {
    const { connect } = this;
    if (this.version !== 5) return connect.cleanStart || this.isNameless;
    const expirySeconds = this.advertised.sessionExpiryInterval ?? connect.properties.sessionExpiryInterval;
    return expirySeconds === 0 && !this.inherited;
  }

  /** Bytes of subscriptions and aliases. */
  get knownBytes(): number {
    return (this.subscriptions?.bytes ?? 0) + (this.aliases?.bytes ?? 0);
  }

  /** Call it when they have grown, with how many filters of one packet have been looked at. */
  boundKnown(filters = 0): void {
    if (this.knownBytes <= this.options.maxStateBytes && filters <= MOST_FILTERS) return;
    this.needRare().overflown = true;
    this.subscriptions = undefined;
    this.aliases = undefined;
  }

  /** For another process. Undefined unless a node has the session and what is said goes to and fro, or none has it and none is asked. */
  describe(): HandedState | undefined {
    const isDetached = this.phase === 'detached' && this.linkDead;
    const isAttached = this.phase === 'attached' && !this.linkDead && !this.isWithheld;
    if (!isAttached && !isDetached) return undefined;
    const { heldBack, isBeyondRecall, overflown, notUnderstood, authenticates, unsubscribed } = this.rare;
    const { attachments, inherited, deviceLeft, pingsOwed, pingsSent, pingsBehind, pingsWait } = this;
    const { pingsOdd, pingsSpare } = this.rare;
    const { isPaused, billedMessages, billedBytes, options, migration } = this;
    return {
      ...{ isDetached, attachments, inherited, isBeyondRecall, deviceLeft, overflown },
      ...{ notUnderstood, authenticates, pingsOwed, pingsSent, pingsBehind, pingsWait },
      ...{ pingsOdd, pingsSpare },
      ...{ isPaused, billedMessages, billedBytes },
      heldBack: heldBack && { node: copies(heldBack.node), device: copies(heldBack.device) },
      unsubscribed: unsubscribed?.describe(),
      advertised: { ...this.advertised },
      terms: { ...this.terms },
      inflightFromDevice: this.inflightFromDevice?.describe(),
      inflightToDevice: this.inflightToDevice?.describe(),
      subscriptions: this.subscriptions?.describe(),
      aliases: this.aliases?.describe(),
      offlineBuffer: this.offlineBuffer?.copy,
      migration: migration?.describe(migration.retainedUntilMs > 0 ? options.now() : 0),
    };
  }

  /** Makes a new state what another process had. */
  revive(handed: HandedState): void {
    const { heldBack, unsubscribed, isBeyondRecall, overflown, notUnderstood, authenticates } = handed;
    const { inflightFromDevice, inflightToDevice, subscriptions, aliases, offlineBuffer } = handed;
    const { pingsOdd, pingsSpare } = handed;
    const hasPings = pingsOdd > 0 || pingsSpare > 0;
    if (heldBack || unsubscribed || isBeyondRecall || overflown || notUnderstood || authenticates || hasPings)
      Object.assign(this.needRare(), {
        ...{ heldBack, isBeyondRecall, overflown, notUnderstood, authenticates, pingsOdd, pingsSpare },
        unsubscribed: unsubscribed && Subscriptions.revive(unsubscribed),
      });
    this.attachments = handed.attachments;
    this.inherited = handed.inherited;
    this.deviceLeft = handed.deviceLeft;
    this.pingsOwed = handed.pingsOwed;
    this.pingsSent = handed.pingsSent;
    this.pingsBehind = handed.pingsBehind;
    this.pingsWait = handed.pingsWait;
    this.isPaused = handed.isPaused && this.options.isPaced; // there may be no rates here
    this.billedMessages = handed.billedMessages;
    this.billedBytes = handed.billedBytes;
    this.phase = handed.isDetached ? 'detached' : 'attached';
    this.linkDead = handed.isDetached;
    this.answered = true;
    this.advertised = interned(handed.advertised);
    this.terms = interned(handed.terms);
    this.inflightFromDevice = inflightFromDevice && windows.take().revive(inflightFromDevice);
    this.inflightToDevice = inflightToDevice && tables.take().revive(inflightToDevice);
    this.subscriptions = subscriptions && Subscriptions.revive(subscriptions);
    this.aliases = aliases && Aliases.revive(aliases);
    this.offlineBuffer = offlineBuffer && bufferOf(offlineBuffer);
    this.migration = handed.migration && MigrationState.revive(handed.migration, this.options.now);
  }

  /** Overwrites payloads. */
  wipe(): void {
    this.phase = 'over';
    this.inflightFromDevice?.wipe();
    this.migration?.held?.wipe();
    this.offlineBuffer?.bytes.fill(0);
    this.offlineBuffer = undefined;
  }

  event(event: SessionEvent): void {
    this.output.event(event);
  }

  /** Why the session can never go to another node; undefined when it can. */
  get stays(): 'enhanced-auth' | 'too-much-state' | 'not-understood' | undefined {
    if (this.connect.properties.authenticationMethod !== undefined) return 'enhanced-auth'; // rule 17 [MQTT-4.12.1-1]
    if (this.rare.overflown) return 'too-much-state';
    return this.rare.notUnderstood ? 'not-understood' : undefined;
  }

  /**
   * Ends the device's side with a reason; 3.1.1 has no word for it and is just closed.
   * @param said where to go instead, or the DISCONNECT of the node
   */
  end(code: ReasonCode, why: EndWhy, said?: string | Uint8Array): void {
    if (this.phase === 'over') return;
    if (this.version === 5 && this.attachments > 0) {
      const packet = said instanceof Uint8Array ? said : disconnectPacket(code, said);
      const isTooLarge = packet.length > (this.connect.properties.maximumPacketSize ?? packet.length); // [MQTT-3.1.2-24]
      this.toDevice.write(isTooLarge ? disconnectPacket(code) : packet);
    }
    this.phase = 'over';
    this.event({ kind: 'end', code, why });
  }

  heldTooMuch(side: 'node' | 'device'): void {
    if (side === 'node') this.nodeFault('too many packets behind one that takes long');
    else this.end(reasonCode.quotaExceeded, 'too-much-held');
  }

  nodeFault(detail: string): void {
    this.answered = true;
    this.linkDead = true;
    this.event({ kind: 'node-fault', detail });
  }
}

function copies(packets: readonly Uint8Array[] | undefined): Uint8Array[] | undefined {
  return packets?.map((packet) => new Uint8Array(packet));
}
