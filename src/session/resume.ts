import { type ReasonCode, reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import { abandonSuspended, giveHeld, noteFresh } from './deliver.ts';
import { ackPacket, copyOf, packetType, pingreqPacket } from './encode.ts';
import type { EndWhy } from './events.ts';
import { forward } from './from-device.ts';
import type { Moved } from './moved.ts';
import { qosOf, RETAIN } from './publish.ts';
import { sendWaiting } from './quota.ts';
import type { State } from './state.ts';
import { batches, qosAsked, subscribePacket } from './subscribe.ts';
import { interned, plainTerms, readConnack, type Terms } from './terms.ts';
import { hasWildcard, isShared } from './topic-filter.ts';
import { stage, type Window } from './window.ts';

/** The whole first byte: its lower four bits are reserved [MQTT-2.1.3-1]. */
const CONNACK = packetType.connack << 4;
const FAILED = 0x80;
const PACKET_ID_IN_USE = 0x91;
/** Replayed SUBSCRIBEs are kept small: brokers bound the filters of one packet (AWS IoT: 8), and packets as a whole. */
const BATCH_FILTERS = 8;
const BATCH_BYTES = 1024;
/** What one call sends again. */
const RESENT_BYTES = 262_144;
/** Retained messages come with SUBACK, or soon behind it where a broker looks them up meanwhile (EMQX). */
const RETAINED_MS = 10_000;

/** The node's answer to CONNECT: the device's own, or one to a re-attach, which the device never sees. */
export function connackFromNode(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const terms = bytes[at] === CONNACK ? readConnack(bytes, bodyAt, end, s.version) : undefined;
  if (terms === undefined) return s.nodeFault('malformed CONNACK');
  s.answered = true;
  if (s.moved !== undefined) s.moved.asking = false;
  if (terms.code !== 0) {
    s.linkDead = true;
    const { code, serverReference } = terms;
    return s.event({ kind: 'refused', code, serverReference, packet: copyOf(bytes, at, end) });
  }
  s.terms = s.version === 5 ? interned(terms) : plainTerms;
  s.attachments++;
  if (s.attachments > 1) return resume(s, terms);
  s.told = s.terms;
  s.inherited = terms.sessionPresent;
  s.toDevice.pass(bytes, at, end);
  s.phase = 'attached';
  s.event({ kind: 'accepted', sessionPresent: terms.sessionPresent });
  drainGap(s);
}

/** Rules 2 to 12. Subscriptions first, and answered, so that nothing that is sent or resent can miss them. */
function resume(s: State, terms: Terms): void {
  s.aliases?.linkLost();
  const moved = s.needMoved();
  const sessionPresent = terms.sessionPresent && !moved.anew;
  moved.isOver = false;
  moved.sessionPresent = sessionPresent;
  if (!sessionPresent && s.inherited) return endAnew(s, reasonCode.serverShuttingDown, 'session-lost');
  const missing = whatMatters(s, terms);
  if (missing !== undefined) return endAnew(s, missing, 'promised-less');
  if (!sessionPresent) moved.doubtful = true;
  // What is held of a session that the node has comes again: the device never saw it.
  if (sessionPresent) moved.held = undefined;
  else forgetNodeSide(s, moved);
  if (moved.doubtful) replaySubscriptions(s, moved);
  if (moved.replays === undefined) attach(s, moved);
  else s.phase = 'rebuilding';
}

/**
 * The session cannot go on at this node. Where the node has begun one for it that outlives the link, the device would come
 * back to that, be told Session Present 1, and miss what it lacks (rule 2).
 */
function endAnew(s: State, code: ReasonCode, why: EndWhy): void {
  if (s.moved?.sessionPresent !== false || s.endsWithLink) return s.end(code, why);
  s.linkDead = true;
  s.event({ kind: 'end', code, why, drops: true });
}

/** Rule 12: does the node promise less than the device was told, where it matters now? What comes later, it says itself. */
function whatMatters(s: State, terms: Terms): ReasonCode | undefined {
  const { window, subscriptions } = s;
  for (let at = window?.first() ?? -1; window !== undefined && at >= 0; at = window.next(at)) {
    if (window.stage(at) !== stage.sent && window.stage(at) !== stage.waiting) continue;
    const header = window.header(at);
    if (qosOf(header) > terms.maximumQos) return reasonCode.qosNotSupported;
    if ((header & RETAIN) !== 0 && !terms.retainAvailable) return reasonCode.retainNotSupported;
    if (window.size(at) > terms.maximumPacketSize) return reasonCode.packetTooLarge;
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

/** Session Present 0: everything that only the old node knew is finished with the device alone (rules 4 and 5). */
function forgetNodeSide(s: State, moved: Moved): void {
  const { window, deliveries } = s;
  for (let at = window?.first() ?? -1, next = -1; window !== undefined && at >= 0; at = next) {
    next = window.next(at);
    if (window.stage(at) === stage.received) window.setStage(at, stage.local);
    if (window.stage(at) !== stage.released) continue;
    s.toDevice.write(ackPacket(packetType.pubcomp, window.id(at)));
    window.remove(at);
  }
  if (deliveries !== undefined) abandonSuspended(s, deliveries);
  moved.orphanHeld();
  giveHeld(s);
}

function replaySubscriptions(s: State, moved: Moved): void {
  const { subscriptions } = s;
  if (subscriptions === undefined || subscriptions.count === 0) return;
  moved.retainedUntilMs = Number.POSITIVE_INFINITY;
  moved.replays = new Map();
  let id = 0x1_0000;
  const maxBytes = Math.min(BATCH_BYTES, s.terms.maximumPacketSize);
  for (const batch of batches(subscriptions, BATCH_FILTERS, maxBytes)) {
    do id--;
    while (s.window?.uses(id));
    s.toNode.write(subscribePacket(s.version, id, batch));
    moved.replays.set(
      id,
      batch.map((each) => qosAsked(each)),
    );
  }
}

/** SUBACK: is it for a replay? Less than before is not passed over (rule 7). */
export function replayAnswered(s: State, id: number, codes: Uint8Array): boolean {
  const { moved } = s;
  const asked = moved?.replays?.get(id);
  if (moved?.replays === undefined || asked === undefined) return false;
  const less = asked.findIndex((qos, i) => (codes[i] ?? FAILED) >= FAILED || (codes[i] as number) < qos);
  if (less >= 0) {
    endAnew(s, denial(codes[less] ?? FAILED), 'granted-less');
    return true;
  }
  moved.replays.delete(id);
  if (moved.replays.size === 0) attach(s, moved);
  return true;
}

/** What a DISCONNECT says for a code of SUBACK: a failure means the same in both (table 2-6). */
function denial(code: number): ReasonCode {
  if (code < FAILED) return reasonCode.qosNotSupported;
  return code === PACKET_ID_IN_USE ? reasonCode.unspecifiedError : (code as ReasonCode);
}

/** The node has the session: it is sent what another has not acknowledged, then what came in the gap. */
function attach(s: State, moved: Moved): void {
  moved.replays = undefined;
  if ((s.window?.suspects ?? 0) === 0) return goOn(s, moved);
  s.phase = 'rebuilding';
  s.event({ kind: 'suspected' });
}

/** Nothing more is waited for. */
export function goOn(s: State, moved: Moved): void {
  const { sessionPresent } = moved;
  s.phase = 'attached';
  moved.isOnTrial = (s.window?.suspects ?? 0) > 0;
  if (moved.retainedUntilMs > 0) moved.retainedUntilMs = s.options.now() + RETAINED_MS;
  if (moved.doubtful && sessionPresent) settle(s, moved);
  beginResend(s, moved);
  // The first node was asked for a clean session; those after it were not, and may keep what they had.
  const leftBehind = moved.mustPurge && !sessionPresent && s.attachments > 2;
  s.event({ kind: 'resumed', sessionPresent, leftBehind });
  drainGap(s);
}

function beginResend(s: State, moved: Moved): void {
  const { window, terms, told } = s;
  if (window === undefined) return;
  const isLimited = terms.receiveMaximum < told.receiveMaximum;
  moved.room = isLimited ? terms.receiveMaximum - window.exchanged : Number.POSITIVE_INFINITY;
  window.beginResend();
}

/** What a copy of the session does not redeliver before it answers a ping, it does not have (rule 5). */
function settle(s: State, moved: Moved): void {
  moved.settling = true;
  s.pingsSent++;
  s.toNode.write(pingreqPacket);
}

/**
 * In the original order, under the same ids, DUP 1 where a node may have had it (rule 4) [MQTT-4.4.0-1, 4.6.0-1]. As many as
 * one call may send (`State.budget`); `Session.goOnDevice` goes on with the rest.
 */
function resend(s: State, window: Window, moved: Moved): void {
  let bytes = 0;
  for (let at = window.nextResend; at >= 0 && s.budget > 0 && bytes < RESENT_BYTES; at = window.nextResend) {
    s.budget--;
    bytes += window.size(at);
    sendAgain(s, window, moved, at);
    window.resent(at);
  }
  if (!s.isResending) sendWaiting(s);
}

function sendAgain(s: State, window: Window, moved: Moved, at: number): void {
  const now = window.stage(at);
  if (now === stage.released) {
    moved.resentQos2(window.id(at));
    s.toNode.write(ackPacket(packetType.pubrel, window.id(at)));
  }
  if (now === stage.asked) askAgain(s, moved, window.packet(at));
  if (now !== stage.sent && now !== stage.waiting) return;
  window.setStage(at, moved.room > 0 ? stage.sent : stage.waiting);
  if (moved.room-- <= 0) return;
  if (qosOf(window.header(at)) === 2) moved.resentQos2(window.id(at));
  s.toNode.write(window.packet(at));
  window.markDuplicate(at);
}

function askAgain(s: State, moved: Moved, packet: Uint8Array): void {
  noteFresh(s, moved, packet);
  s.toNode.write(packet);
}

/**
 * Sends what waits for the node: what is sent again, then what came in the gap. As much as one call may (`State.budget`);
 * `Session.goOnDevice` goes on with the rest.
 */
export function drainGap(s: State): void {
  const { gap, window, moved } = s;
  if (s.phase !== 'attached' || s.isWithheld) return;
  if (window !== undefined && moved !== undefined && s.isResending) resend(s, window, moved);
  if (gap === undefined || s.isResending) return;
  s.deviceLeft = false;
  while (gap.length > 0 && s.phase === 'attached' && s.budget > 0 && !s.isPaused) {
    const at = gap.start;
    const bodyAt = varintEnd(gap.bytes, at + 1, gap.end);
    const end = bodyAt < 0 ? gap.end : bodyAt + varintValue(gap.bytes, at + 1, bodyAt);
    gap.takenTo(end);
    s.budget--;
    if (bodyAt < 0)
      s.toNode.pass(gap.bytes, at, end); // no packets from here on
    else forward(s, gap.bytes, at, bodyAt, end);
  }
  s.toNode.flush();
  if (gap.length === 0 || s.phase !== 'attached') s.gap = undefined;
}
