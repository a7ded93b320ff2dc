/** The session of one device, as the rest of the proxy uses it; the packets are handled in the files beside it. */

import type { Connect } from '../protocol/mqtt/connect.ts';
import type { ReasonCode } from '../protocol/mqtt/reason-codes.ts';
import { mustHoldDevice } from './back-pressure.ts';
import { connectAgain, connectToPurge } from './connect-again.ts';
import { detach } from './detach.ts';
import { pingreqPacket } from './encode.ts';
import type { SessionOptions, SessionOutput } from './events.ts';
import { factsOf, type SessionFacts } from './facts.ts';
import { deviceSide, nodeSide } from './frame-sides.ts';
import { Frames, idleFrames } from './frames.ts';
import { answerPings } from './from-device.ts';
import type { HandedSession } from './handed.ts';
import { goodbyePacket, mustLeaveFirst, stakeOf, type TakeoverStake } from './leave.ts';
import { SessionMemory } from './memory.ts';
import { type Immovable, immovableOf, isTied, type Stays } from './movable.ts';
import { Quiescence } from './quiescence.ts';
import { drainOffline } from './resume.ts';
import { type Handle, SecretArena } from './secret-arena.ts';
import { State } from './state.ts';
import { Suspects } from './suspects.ts';
import { unansweredOf } from './unanswered.ts';

const secrets = new SecretArena();
const utf8 = new TextEncoder();

/**
 * One device's MQTT session, followed so that another node can take it while the device stays connected. A value:
 * packets in, packets out; no socket, no timer, no clock. The rules in comments are those of `docs/session-mode.md`.
 *
 *   toNode(connectPacket()) ─ fromNode(…) ─► accepted ─ fromDevice / fromNode … ─ detached() ─┐
 *        ▲ next link                                                                          │
 *        └────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Packets are passed on whole; only messages beyond `maxPacketBytes` stream, and QoS 0 of the device.
 *
 * Kinds of methods, in the order of one link's life (`LIFECYCLE.md` has the phases):
 * 1. A link begins: `connectPacket`; or `ask`, while another link is still the session's, and then `detached` and `turn`.
 * 2. Bytes: `fromDevice` at any time, `fromNode` for the link that is the session's. After each of them, and after every other
 *    call, look at `holdsDevice`, `hasDeviceRest` and `hasNodeRest`; the rest is asked for by `goOnDevice` and `goOnNode`.
 * 3. The node says nothing: `pingNode`, `withhold`, and `release` when it speaks again. It is to be left: `quiescence`.
 * 4. The link ends: `detached` once for each link, `nodeGone` besides where its node is dead, `answerPings` if pings were to wait.
 * 5. The device ends: `deviceFinished`, or `endDevice` with a reason; `goodbye` and `purgeConnect` give what nodes are told.
 * 6. `wipe`, last of all.
 *
 * What it says comes by `SessionOutput` during the call; nobody may call the session from there.
 */
export class Session {
  private readonly handle: Handle;
  private wiped = false;
  /** The client id under which nodes are asked, where it is not the device's own. */
  private clientId: Uint8Array | undefined;
  private readonly state: State;
  /** Holds a packet that has come in part; else undefined. */
  private deviceFrames: Frames | undefined;
  private nodeFrames: Frames | undefined;

  /** `rawConnect` is the whole packet that `connect` was decoded from; it is copied. */
  constructor(connect: Connect, rawConnect: Uint8Array, options: SessionOptions, output: SessionOutput) {
    this.handle = secrets.keep(rawConnect);
    this.state = new State(connect, options, output);
  }

  /**
   * A new link is open: the CONNECT to send there, once for each link. Until a node has accepted the device it is the
   * device's own; from then on it asks for the session. `fromNode` then takes that link's bytes, CONNACK first.
   */
  connectPacket(): Uint8Array {
    this.turn();
    return this.ask();
  }

  /** The next bytes of `fromNode` are those of a new link, where the CONNECT was sent that `ask` gave. */
  turn(): void {
    const { state } = this;
    this.nodeFrames = undefined;
    state.answered = false;
    state.linkDead = false;
  }

  /**
   * The CONNECT that asks a node for the session, which may keep its present link meanwhile. When that node has
   * accepted, leave the link by `detached()`, and `turn()` to the new one. When it refuses, call `refused()`.
   */
  ask(): Uint8Array {
    const { state } = this;
    if (state.attachments === 0) return this.raw;
    const migration = state.needMigration();
    if (migration.asking || migration.isOver) migration.doubtful = true;
    migration.asking = true;
    migration.anew = migration.isOver && (state.connect.cleanStart || state.isNameless);
    if (state.version === 5) {
      const assigned = state.advertised.assignedClientId;
      if (assigned !== undefined) this.clientId = utf8.encode(assigned); // [MQTT-3.2.2-16]
    } else {
      // No node would reveal which one it chose, so the session begins anew under one of ours (rule 15).
      if (state.isNameless) this.clientId = utf8.encode(state.options.clientId);
      if (state.endsWithLink && !migration.anew) migration.mustPurge = true;
    }
    return connectAgain(this.raw, this.clientId, migration.anew);
  }

  /**
   * The node that had the session is gone, or got its goodbye. A session that ends with its link is over then: the
   * next node can only have another session under its client id, and is not asked for that one (rule 2).
   */
  nodeGone(): void {
    const { state } = this;
    if (state.attachments > 0 && state.endsWithLink) state.needMigration().isOver = true;
  }

  /** The session of the next CONNACK is this one: the former node has given it away. */
  trust(): void {
    if (this.state.migration !== undefined) this.state.migration.doubtful = false;
  }

  /** The node that was asked last has refused. */
  refused(): void {
    if (this.state.migration !== undefined) this.state.migration.asking = false;
  }

  /** The node is silent, or has ended its side: what the device sends waits; PINGREQ is answered here, or waits too as for `detached`. */
  withhold(pingsWait = false): void {
    if (this.state.phase !== 'attached') return;
    this.state.isWithheld = true;
    this.state.pingsWait = pingsWait;
    if (!pingsWait) this.answerPings();
  }

  /** The node serves again, or reads on: what has waited goes to it. */
  release(): void {
    if (!this.state.isWithheld) return;
    this.state.isWithheld = false;
    this.goOnDevice();
  }

  /** What outlives the connection, and is given to the next one. */
  get memory(): SessionMemory {
    return new SessionMemory(this.state);
  }

  /** How a node is left that lives. */
  get quiescence(): Quiescence {
    return new Quiescence(this.state);
  }

  /** Packets that nodes may have died of. */
  get suspects(): Suspects {
    return new Suspects(this.state);
  }

  /** What the device sent behind its CONNECT. Taken at any time; while no node has the session it waits. */
  fromDevice(bytes: Uint8Array, start: number, end: number): void {
    const { state } = this;
    const frames = this.deviceFrames ?? idleFrames();
    state.budget = state.options.packetsPerCall;
    frames.feed(state, bytes, start, end, deviceSide, state.options.maxPacketBytes);
    this.deviceFrames = frames.isIdle ? undefined : frames;
    this.state.flush();
  }

  /** What came on the link that the last `connectPacket` was for. */
  fromNode(bytes: Uint8Array, start: number, end: number): void {
    const { state } = this;
    if (state.linkDead) return;
    const frames = this.nodeFrames ?? idleFrames();
    state.budget = state.options.packetsPerCall;
    frames.feed(state, bytes, start, end, nodeSide, state.options.maxPacketBytes);
    this.nodeFrames = frames.isIdle ? undefined : frames;
    this.state.flush();
  }

  /** Is there a rest of what the device has sent? Then call `goOnDevice` soon. */
  get hasDeviceRest(): boolean {
    const { isBehind, phase, isWithheld } = this.state;
    return this.deviceFrames?.hasLeft || (isBehind && phase === 'attached' && !isWithheld);
  }

  /** Is there a rest of what the node has sent? Then its link is not to be read; call `goOnNode` soon. */
  get hasNodeRest(): boolean {
    return !this.state.linkDead && (this.nodeFrames?.hasLeft ?? false);
  }

  /** Continues with the rest of what the device has sent, at most so many packets. */
  goOnDevice(most = this.state.options.packetsPerCall): void {
    const { state } = this;
    state.budget = Math.min(most, state.options.packetsPerCall);
    drainOffline(state);
    this.deviceFrames?.goOn(state, deviceSide, state.options.maxPacketBytes);
    if (this.deviceFrames?.isIdle) this.deviceFrames = undefined;
    this.state.flush();
  }

  /** Continues with the rest of what the node has sent. */
  goOnNode(): void {
    const { state } = this;
    state.budget = state.options.packetsPerCall;
    this.nodeFrames?.goOn(state, nodeSide, state.options.maxPacketBytes);
    if (this.nodeFrames?.isIdle) this.nodeFrames = undefined;
    this.state.flush();
  }

  /**
   * The link is lost, or is left: nothing more of it is taken. False when the device has part of a message that can
   * never be completed: reset it. Its own half-sent QoS 0 message is lost likewise (`midPublish`).
   *
   * `pingsWait`: PINGREQs are answered by `answerPings` only, when it is known that the session goes on.
   */
  detached(pingsWait = false): boolean {
    const isWhole = detach(this.state, this.deviceFrames, this.nodeFrames);
    this.nodeFrames = undefined;
    if (this.state.phase !== 'detached') return isWhole;
    this.state.pingsWait = pingsWait;
    if (!pingsWait) this.answerPings();
    this.state.flush();
    return isWhole;
  }

  /** No node has the session, or it is silent: answers the PINGREQs that wait, and each further one at once (rule 16). */
  answerPings(): void {
    answerPings(this.state);
    this.state.flush();
  }

  /** The device sends nothing more, but may still read: what the node answers is passed on. Call it while attached. */
  deviceFinished(): void {
    this.state.deviceLeft = true;
    if (this.state.phase === 'attached') this.state.phase = 'leaving';
  }

  /** Writes DISCONNECT with this reason, or what is `said`, where MQTT 5 has one. The owner closes the device behind it. */
  endDevice(code: ReasonCode, said?: string | Uint8Array): void {
    this.state.end(code, 'asked', said);
    this.state.flush();
  }

  /**
   * Asks the node for a sign of life: not behind part of a message or what is no packet, where it would be taken for more of it;
   * once, but again while the node hears nothing else, which it may count against the device. The answer is not the device's.
   */
  pingNode(): void {
    const { state } = this;
    const isAsked = state.pingsSent > 0 && !state.isWithheld;
    if (state.phase !== 'attached' || isAsked || this.deviceFrames?.isUnfinished) return;
    state.pingsSent++;
    state.toNode.write(pingreqPacket);
    this.state.flush();
  }

  /** Does what the device sends wait, because the node is silent? */
  get isWithheld(): boolean {
    return this.state.isWithheld;
  }

  /** Does the node owe a PINGRESP? */
  get pingUnanswered(): boolean {
    return this.state.pingsSent > 0;
  }

  /** Must the device not be read? Look after every call. */
  get holdsDevice(): boolean {
    return mustHoldDevice(this.state, this.deviceFrames, this.hasDeviceRest);
  }

  /** Are both sides to be read, and is nothing left of what they have sent? So it is of nearly every session, after every call. */
  get isFree(): boolean {
    return !this.hasDeviceRest && !this.hasNodeRest && !this.holdsDevice;
  }

  /** While the device is too fast, what it sends waits, as while no node has the session. Call `goOnDevice` behind the pause. */
  pause(isPaused: boolean): void {
    this.state.isPaused = isPaused;
  }

  /** From now on its PUBLISH packets are counted at this place of `SessionOptions.traffic`. */
  countAt(place: number): void {
    this.state.place = place;
  }

  /** Reports to `to` what has gone to the node since the last call. */
  bill(to: { spend(messages: number, bytes: number, nowMs: number): void }, nowMs: number): void {
    this.state.billTo(to, nowMs);
  }

  /** Is the device's connection served by a node now, with nothing left to replay? */
  get attached(): boolean {
    return this.state.phase === 'attached';
  }

  /** Undefined when the session can go to another node at present. */
  get immovable(): Immovable | undefined {
    return immovableOf(this.state, this.nodeFrames?.midStream === true || this.hasNodeRest);
  }

  /** Is its own node the only one that could continue the session? */
  get isTied(): boolean {
    return isTied(this.state);
  }

  /** Undefined unless the session can never go to another node. */
  get stays(): Stays | undefined {
    return this.state.stays;
  }

  /** Has the node part of a QoS 0 message of the device? A planned move had better wait for the rest. */
  get midPublish(): boolean {
    return this.deviceFrames?.midStream ?? false;
  }

  /** The client id that the first node gave a device that brought none (MQTT 5, 3.2.2.3.7). */
  get assignedClientId(): string | undefined {
    return this.state.advertised.assignedClientId;
  }

  /** Seconds between packets that the device was told to keep to; 0 is off. It keeps the first node's word. */
  get deviceKeepAlive(): number {
    return this.state.advertised.serverKeepAlive ?? this.state.connect.keepAlive;
  }

  /** Seconds between packets that the node on this link waits for; 0 is off. */
  get nodeKeepAlive(): number {
    return this.state.terms.serverKeepAlive ?? this.state.connect.keepAlive;
  }

  /** On a planned move, must the old link be left with `goodbye` before the next node is asked (rules 1 and 13)? */
  get leavesFirst(): boolean {
    return mustLeaveFirst(this.state, this.raw);
  }

  get takeoverStake(): TakeoverStake {
    return stakeOf(this.state, this.raw);
  }

  /** The clean DISCONNECT that leaves a live node without its Will [MQTT-3.14.4-3]; `endSession` when another has it. */
  goodbye(endSession: boolean): Uint8Array {
    return goodbyePacket(this.state.connect, endSession);
  }

  /** After the device has gone: must a node be asked to drop a session that the device wanted clean (rule 2)? */
  get mustPurge(): boolean {
    return this.state.migration?.mustPurge ?? false;
  }

  /** The CONNECT of a link of its own that drops the session, or that of `another` id; then send `goodbye(true)` there. */
  purgeConnect(another?: Uint8Array): Uint8Array {
    return connectToPurge(this.raw, another ?? this.clientId);
  }

  get facts(): SessionFacts {
    return factsOf(this.state, this.deviceFrames, this.nodeFrames);
  }

  /** All that the device has said, from its CONNECT on; undefined: a node has begun to answer it, or not all is kept. */
  get unanswered(): Uint8Array | undefined {
    return unansweredOf(this.state, this.raw, this.deviceFrames);
  }

  /** What another process needs to go on; undefined: not now, and nothing has changed. It holds the device's secrets. */
  describe(): HandedSession | undefined {
    const state = this.state.describe();
    if (state === undefined) return undefined;
    const { raw, clientId, deviceFrames, nodeFrames } = this;
    const frames = { deviceFrames: deviceFrames?.describe(), nodeFrames: nodeFrames?.describe() };
    return { raw, clientId, chosenId: this.state.options.clientId, ...frames, state };
  }

  /** The session that another process has described; `connect` was decoded from its `raw`. */
  static revive(
    connect: Connect,
    { raw, clientId, deviceFrames, nodeFrames, state }: HandedSession,
    options: SessionOptions,
    output: SessionOutput,
  ): Session {
    const session = new Session(connect, raw, options, output);
    session.clientId = clientId;
    session.deviceFrames = deviceFrames && Frames.revive(deviceFrames);
    session.nodeFrames = nodeFrames && Frames.revive(nodeFrames);
    session.state.revive(state);
    return session;
  }

  /** The connection has ended: overwrites credentials and payloads (rule 17). Must come, and nothing after it. */
  wipe(): void {
    if (this.wiped) return;
    this.wiped = true;
    secrets.erase(this.handle);
    this.state.wipe();
    this.deviceFrames?.wipe();
    this.nodeFrames?.wipe();
    this.deviceFrames = undefined;
    this.nodeFrames = undefined;
  }

  /** Of the device's CONNECT; a copy. */
  private get raw(): Uint8Array {
    return secrets.read(this.handle);
  }
}
