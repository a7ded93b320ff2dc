import { type ReasonCode, reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import {
  type ConnackCapabilities,
  interned,
  plainCapabilities,
  readConnack,
} from './connack-capabilities.ts';
import { abandonSuspended, giveHeld, noteFresh } from './deliver.ts';
import { ackPacket, copyOf, packetType, pingreqPacket } from './encode.ts';
import type { EndWhy } from './events.ts';
import { forward } from './from-device.ts';
import type { InflightFromDevice } from './inflight-from-device.ts';
import type { MigrationState } from './migration-state.ts';
import { qosOf, RETAIN } from './publish.ts';
import { sendWaiting } from './quota.ts';
import { stage } from './stages.ts';
import type { State } from './state.ts';
import { batches, qosAsked, subscribePacket } from './subscribe.ts';
import type { Subscription } from './subscriptions.ts';
import { hasWildcard, isShared } from './topic-filter.ts';

/** The whole first byte: its lower four bits are reserved [MQTT-2.1.3-1]. */
const CONNACK = packetType.connack << 4;
const FAILED = 0x80;
const PACKET_ID_IN_USE = 0x91;
/** Replayed SUBSCRIBEs are kept small: brokers bound the filters of one packet (AWS IoT: 8), and packets as a whole. */
const BATCH_FILTERS = 8;
const BATCH_BYTES = 1024;
/** At most so many bytes are sent again in one call. */
const RESENT_BYTES = 262_144;
/** Retained messages come with SUBACK, or soon behind it where a broker looks them up meanwhile (EMQX). */
const RETAINED_MS = 10_000;

/** The node's answer to CONNECT: the device's own, or one to a re-attach, which the device never sees. */
export function connackFromNode(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const terms = bytes[at] === CONNACK ? readConnack(bytes, bodyAt, end, s.version) : undefined;
  if (terms === undefined) return s.nodeFault('malformed CONNACK');
  s.answered = true;
  if (s.migration !== undefined) s.migration.asking = false;
  if (terms.code !== 0) {
    s.linkDead = true;
    const { code, serverReference } = terms;
    return s.event({ kind: 'refused', code, serverReference, packet: copyOf(bytes, at, end) });
  }
  s.terms = s.version === 5 ? interned(terms) : plainCapabilities;
  s.attachments++;
  if (s.attachments > 1) return resume(s, terms);
  s.advertised = s.terms;
  s.inherited = terms.sessionPresent;
  s.toDevice.pass(bytes, at, end);
  s.phase = 'attached';
  s.event({ kind: 'accepted', sessionPresent: terms.sessionPresent });
  drainOffline(s);
}

/** Rules 2 to 12. Subscriptions first, and answered, so that nothing that is sent or resent can miss them. */
function resume(s: State, terms: ConnackCapabilities): void {
  s.aliases?.linkLost();
  const migration = s.needMigration();
  const sessionPresent = terms.sessionPresent && !migration.anew;
  migration.isOver = false;
  migration.sessionPresent = sessionPresent;
  if (!sessionPresent && s.inherited) return endAnew(s, reasonCode.serverShuttingDown, 'session-lost');
  const missing = whatMatters(s, terms);
  if (missing !== undefined) return endAnew(s, missing, 'promised-less');
  if (!sessionPresent) migration.doubtful = true;
  // What is held of a session that the node has comes again: the device never saw it.
  if (sessionPresent) migration.held = undefined;
  else forgetNodeSide(s, migration);
  if (migration.doubtful) replaySubscriptions(s, migration, s.subscriptions ?? [], true);
  else if (s.version !== 5) renewForgotten(s, migration);
  if (migration.replays === undefined) attach(s, migration);
  else s.phase = 'rebuilding';
}

/**
 * The session cannot go on at this node. Where the node has begun one for it that outlives the link, the device would come
 * back to that, be told Session Present 1, and miss what it lacks (rule 2).
 */
function endAnew(s: State, code: ReasonCode, why: EndWhy): void {
  if (s.migration?.sessionPresent !== false || s.endsWithLink) return s.end(code, why);
  s.linkDead = true;
  s.event({ kind: 'end', code, why, drops: true });
}

/**
 * Rule 12: does the node promise less than the device's CONNACK did, in something that matters at once? Later
 * differences show by themselves.
 */
function whatMatters(s: State, terms: ConnackCapabilities): ReasonCode | undefined {
  const { inflightFromDevice, subscriptions } = s;
  for (
    let at = inflightFromDevice?.first() ?? -1;
    inflightFromDevice !== undefined && at >= 0;
    at = inflightFromDevice.next(at)
  ) {
    if (inflightFromDevice.stage(at) !== stage.sent && inflightFromDevice.stage(at) !== stage.waiting)
      continue;
    const header = inflightFromDevice.header(at);
    if (qosOf(header) > terms.maximumQos) return reasonCode.qosNotSupported;
    if ((header & RETAIN) !== 0 && !terms.retainAvailable) return reasonCode.retainNotSupported;
    if (inflightFromDevice.size(at) > terms.maximumPacketSize) return reasonCode.packetTooLarge;
  }
  if (terms.sessionPresent || subscriptions === undefined || s.version !== 5) return undefined;
  for (const { filter, identifier } of subscriptions) {
    if (!terms.sharedAvailable && isShared(filter)) return reasonCode.sharedSubscriptionsNotSupported;
    if (!terms.wildcardAvailable && hasWildcard(filter)) return reasonCode.wildcardSubscriptionsNotSupported;
    if (!terms.identifiersAvailable && identifier > 0) {
      return reasonCode.subscriptionIdentifiersNotSupported;
    }
  }
  return undefined;
}

/** Session Present 0: everything that only the former node knew is finished with the device alone (rules 4 and 5). */
function forgetNodeSide(s: State, migration: MigrationState): void {
  const { inflightFromDevice, inflightToDevice } = s;
  for (
    let at = inflightFromDevice?.first() ?? -1, next = -1;
    inflightFromDevice !== undefined && at >= 0;
    at = next
  ) {
    next = inflightFromDevice.next(at);
    if (inflightFromDevice.stage(at) === stage.received) inflightFromDevice.setStage(at, stage.local);
    if (inflightFromDevice.stage(at) !== stage.released) continue;
    s.toDevice.write(ackPacket(packetType.pubcomp, inflightFromDevice.id(at)));
    inflightFromDevice.remove(at);
  }
  if (inflightToDevice !== undefined) abandonSuspended(s, inflightToDevice);
  migration.orphanHeld();
  giveHeld(s);
}

/**
 * RabbitMQ before 3.12 says Session Present for a session whose subscriptions of QoS 0 it has forgotten with the link. So these
 * are renewed; the session goes on whatever the node says to that, because it may have them.
 */
function renewForgotten(s: State, migration: MigrationState): void {
  const forgotten = Array.from(s.subscriptions ?? []).filter((each) => qosAsked(each) === 0);
  replaySubscriptions(s, migration, forgotten, false);
}

/**
 * The lowest packet ids that the device does not use: RabbitMQ before 3.12 goes on counting its own from the highest that it was
 * given, and ends the connection where it comes round to one that the device has not acknowledged.
 */
function replaySubscriptions(
  s: State,
  migration: MigrationState,
  subscriptions: Iterable<Subscription>,
  mustBeGranted: boolean,
): void {
  let id = 0;
  const maxBytes = Math.min(BATCH_BYTES, s.terms.maximumPacketSize);
  for (const batch of batches(subscriptions, BATCH_FILTERS, maxBytes)) {
    migration.retainedUntilMs = Number.POSITIVE_INFINITY;
    migration.replays ??= new Map();
    do id++;
    while (s.inflightFromDevice?.uses(id));
    s.toNode.write(subscribePacket(s.version, id, batch));
    migration.replays.set(id, mustBeGranted ? batch.map((each) => qosAsked(each)) : []);
  }
}

/** SUBACK: is it the answer to a replay? A lower grant than before is not passed over (rule 7). */
export function replayAnswered(s: State, id: number, codes: Uint8Array): boolean {
  const { migration } = s;
  const asked = migration?.replays?.get(id);
  if (migration?.replays === undefined || asked === undefined) return false;
  const less = asked.findIndex((qos, i) => (codes[i] ?? FAILED) >= FAILED || (codes[i] as number) < qos);
  if (less >= 0) {
    endAnew(s, denial(codes[less] ?? FAILED), 'granted-less');
    return true;
  }
  migration.replays.delete(id);
  if (migration.replays.size === 0) attach(s, migration);
  return true;
}

/** What a DISCONNECT says for a code of SUBACK: a failure means the same in both (table 2-6). */
function denial(code: number): ReasonCode {
  if (code < FAILED) return reasonCode.qosNotSupported;
  return code === PACKET_ID_IN_USE ? reasonCode.unspecifiedError : (code as ReasonCode);
}

/** The node has the session: it is sent what another has not acknowledged, then what waited in the offline buffer. */
function attach(s: State, migration: MigrationState): void {
  migration.replays = undefined;
  if ((s.inflightFromDevice?.suspects ?? 0) === 0) return goOn(s, migration);
  s.phase = 'rebuilding';
  s.event({ kind: 'suspected' });
}

/** All answers that had to come first are there: the session goes on. */
export function goOn(s: State, migration: MigrationState): void {
  const { sessionPresent } = migration;
  s.phase = 'attached';
  migration.isOnTrial = (s.inflightFromDevice?.suspects ?? 0) > 0;
  if (migration.retainedUntilMs > 0) migration.retainedUntilMs = s.options.now() + RETAINED_MS;
  if (migration.doubtful && sessionPresent) askForRedelivery(s, migration);
  beginResend(s, migration);
  // The first node was asked for a clean session; those after it were not, and may keep what they had.
  const leftBehind = migration.mustPurge && !sessionPresent && s.attachments > 2;
  s.event({ kind: 'resumed', sessionPresent, leftBehind });
  drainOffline(s);
}

function beginResend(s: State, migration: MigrationState): void {
  const { inflightFromDevice, terms, advertised } = s;
  if (inflightFromDevice === undefined) return;
  const isLimited = terms.receiveMaximum < advertised.receiveMaximum;
  migration.room = isLimited ? terms.receiveMaximum - inflightFromDevice.exchanged : Number.POSITIVE_INFINITY;
  inflightFromDevice.beginResend();
}

/**
 * Asks the node for a PINGRESP: what it has not redelivered by then, its copy of the session does not have (rule
 * 5).
 */
function askForRedelivery(s: State, migration: MigrationState): void {
  migration.awaitsRedelivery = true;
  s.pingsSent++;
  s.toNode.write(pingreqPacket);
}

/**
 * In the original order, under the same ids, DUP 1 where a node may have had it (rule 4) [MQTT-4.4.0-1, 4.6.0-1]. As many as
 * one call may send (`State.budget`); `Session.goOnDevice` goes on with the rest.
 */
function resend(s: State, inflightFromDevice: InflightFromDevice, migration: MigrationState): void {
  let bytes = 0;
  for (
    let at = inflightFromDevice.nextResend;
    at >= 0 && s.budget > 0 && bytes < RESENT_BYTES;
    at = inflightFromDevice.nextResend
  ) {
    s.budget--;
    bytes += inflightFromDevice.size(at);
    sendAgain(s, inflightFromDevice, migration, at);
    inflightFromDevice.resent(at);
  }
  if (!s.isResending) sendWaiting(s);
}

function sendAgain(
  s: State,
  inflightFromDevice: InflightFromDevice,
  migration: MigrationState,
  at: number,
): void {
  const now = inflightFromDevice.stage(at);
  if (now === stage.released) {
    migration.resentQos2(inflightFromDevice.id(at));
    s.toNode.write(ackPacket(packetType.pubrel, inflightFromDevice.id(at)));
  }
  if (now === stage.asked) askAgain(s, migration, inflightFromDevice.packet(at));
  if (now !== stage.sent && now !== stage.waiting) return;
  inflightFromDevice.setStage(at, migration.room > 0 ? stage.sent : stage.waiting);
  if (migration.room-- <= 0) return;
  if (qosOf(inflightFromDevice.header(at)) === 2) migration.resentQos2(inflightFromDevice.id(at));
  s.toNode.write(inflightFromDevice.packet(at));
  inflightFromDevice.markDuplicate(at);
}

function askAgain(s: State, migration: MigrationState, packet: Uint8Array): void {
  noteFresh(s, migration, packet);
  s.toNode.write(packet);
}

/**
 * Sends what waits for the node: what is sent again, then the offline buffer. As much as one call may (`State.budget`);
 * `Session.goOnDevice` goes on with the rest.
 */
export function drainOffline(s: State): void {
  const { offlineBuffer, inflightFromDevice, migration } = s;
  if (s.phase !== 'attached' || s.isWithheld) return;
  if (migration?.quiesces) {
    migration.quiesces = false; // the node serves on
    sendWaiting(s);
  }
  if (inflightFromDevice !== undefined && migration !== undefined && s.isResending)
    resend(s, inflightFromDevice, migration);
  if (offlineBuffer === undefined || s.isResending) return;
  s.deviceLeft = false;
  while (offlineBuffer.length > 0 && s.phase === 'attached' && s.budget > 0 && !s.isPaused) {
    const at = offlineBuffer.start;
    const bodyAt = varintEnd(offlineBuffer.bytes, at + 1, offlineBuffer.end);
    const behind = bodyAt < 0 ? -1 : bodyAt + varintValue(offlineBuffer.bytes, at + 1, bodyAt);
    // Where a whole packet is not there, there are none from here on: such bytes are kept in whatever pieces they came.
    const isPacket = behind >= 0 && behind <= offlineBuffer.end;
    const end = isPacket ? behind : offlineBuffer.end;
    offlineBuffer.takenTo(end);
    s.budget--;
    if (!isPacket) s.toNode.pass(offlineBuffer.bytes, at, end);
    else forward(s, offlineBuffer.bytes, at, bodyAt, end);
  }
  s.toNode.flush();
  if (offlineBuffer.length === 0 || s.phase !== 'attached') s.offlineBuffer = undefined;
}
