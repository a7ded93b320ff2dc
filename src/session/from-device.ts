import { uint16 } from '../base/bytes.ts';
import { MALFORMED } from '../protocol/mqtt/varint.ts';
import { acknowledgedByDevice, noteFresh } from './deliver.ts';
import { ackPacket, copyOf, packetType, pingreqPacket, pingrespPacket } from './encode.ts';
import { noteExpiry } from './memory.ts';
import { DUP, qosOf, topicAliasAt, topicEnd, withTopic } from './publish.ts';
import { isToFinish } from './quiescence.ts';
import { quotaIsUsed } from './quota.ts';
import { stage } from './stages.ts';
import type { State } from './state.ts';
import { isRequest, leadingId } from './subscribe.ts';

/**
 * A device normally asks now and then. One that floods us with PINGREQs is answered at once, so that the count
 * stays small.
 */
const MAX_WAITING_PINGS = 16;
/** PINGREQs that a lost node owes and that are answered: a device that asks more often does not wait for each. */
const MOST_PINGS_OWED = 1024;

/** A whole packet from the device. */
export function packetFromDevice(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  if (s.phase === 'over' || s.deviceLeft) return;
  if (s.forwards || isToFinish(s, (bytes[at] as number) >> 4)) forward(s, bytes, at, bodyAt, end);
  else keep(s, bytes, at, end);
}

/**
 * Something waits in front of it: what needs no node is answered, everything else waits too, in order (rules 6 and
 * 16).
 */
function keep(s: State, bytes: Uint8Array, at: number, end: number): void {
  const type = (bytes[at] as number) >> 4;
  if (s.phase !== 'connecting' && isPingreq(bytes, at, end)) return pinged(s);
  if (type === packetType.auth && s.rare.authenticates) return s.toNode.pass(bytes, at, end);
  s.needOfflineBuffer().append(bytes, at, end);
  if (type !== packetType.disconnect) return;
  s.deviceLeft = true;
  s.event({ kind: 'device-left', forwarded: false });
}

/** A packet that the standard allows. */
function isPingreq(bytes: Uint8Array, at: number, end: number): boolean {
  return end - at === pingreqPacket.length && bytes[at] === pingreqPacket[0];
}

function pinged(s: State): void {
  if (s.pingsWait && s.pingsOwed < MAX_WAITING_PINGS) {
    s.pingsOwed++;
    return;
  }
  // A device that keeps asking and never reads the answers gets no more of them.
  s.pingsBehind = s.output.isDeviceBehind() ? s.pingsBehind + 1 : 0;
  if (s.pingsBehind <= MAX_WAITING_PINGS) s.toDevice.write(pingrespPacket);
}

/** Answers the PINGREQs that wait for a node. */
export function answerPings(s: State): void {
  s.pingsWait = false;
  for (let left = Math.min(s.pingsOwed, MOST_PINGS_OWED); left > 0; left--) s.toDevice.write(pingrespPacket);
  s.pingsOwed = 0;
}

/**
 * A packet that the standard does not allow goes to the node as it came, so that the broker judges and answers it.
 * It is remembered only where it can be understood. Where it cannot, the state of the session is unknown from there
 * on (rule 0).
 */
export function forward(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const type = (bytes[at] as number) >> 4;
  s.bill(type, end - at);
  switch (type) {
    case packetType.publish:
      return publish(s, bytes, at, bodyAt, end);
    case packetType.puback:
    case packetType.pubrec:
    case packetType.pubcomp:
      return acknowledgedByDevice(s, type, bytes, at, bodyAt, end);
    case packetType.pubrel:
      return released(s, bytes, at, bodyAt, end);
    case packetType.subscribe:
    case packetType.unsubscribe:
      request(s, type, bytes, at, bodyAt, end);
      break;
    case packetType.pingreq:
      if (isPingreq(bytes, at, end)) {
        s.pingsOwed++;
        s.pingsSent++;
      } else s.needRare().pingsOdd++;
      break;
    case packetType.disconnect:
      s.deviceLeft = true;
      s.phase = 'leaving';
      if (s.version === 5) noteExpiry(s, bytes, bodyAt, end);
      s.toNode.pass(bytes, at, end);
      return s.event({ kind: 'device-left', forwarded: true });
  }
  s.toNode.pass(bytes, at, end);
}

/** SUBSCRIBE or UNSUBSCRIBE. */
function request(s: State, type: number, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  if (
    s.inflightFromDevice?.isFull ||
    !isRequest(bytes, bodyAt, end, s.version, type === packetType.subscribe)
  ) {
    s.needRare().notUnderstood = true;
    return;
  }
  s.needInflightFromDevice().append(leadingId(bytes, bodyAt, end), stage.asked, bytes, at, end);
  if (s.migration !== undefined) noteFresh(s, s.migration, bytes.subarray(at, end));
}

/** Are topic aliases of the device followed? */
export function usesAliases(s: State): boolean {
  return s.version === 5 && s.advertised.topicAliasMaximum > 0 && !s.rare.overflown;
}

/** PUBLISH from the device; `rest` bytes of it, which nobody keeps, are to come. */
export function publish(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  rest = 0,
): void {
  const qos = qosOf(bytes[at] as number);
  const aliases = usesAliases(s);
  if (qos === 0 && !aliases) return s.toNode.pass(bytes, at, end);
  const idAt = topicEnd(bytes, at, bodyAt, end);
  const aliasAt = idAt !== MALFORMED && aliases ? topicAliasAt(bytes, qos === 0 ? idAt : idAt + 2, end) : 0;
  const id = idAt === MALFORMED || qos === 0 ? 0 : uint16(bytes, idAt);
  if (idAt === MALFORMED || (qos > 0 && id === 0) || qos === 3 || !isAlias(s, bytes, bodyAt, aliasAt)) {
    if (qos > 0) s.needRare().notUnderstood = true;
    return s.toNode.pass(bytes, at, end);
  }
  if (qos > 0) {
    const resent =
      ((bytes[at] as number) & DUP) !== 0 &&
      s.inflightFromDevice !== undefined &&
      s.inflightFromDevice.find(id) >= 0;
    if (!resent && s.inflightFromDevice?.isFull) {
      s.needRare().notUnderstood = true; // one id for several messages
      return s.toNode.pass(bytes, at, end);
    }
    const waits = !resent && rest === 0 && quotaIsUsed(s);
    if (rest > 0 && !resent) s.needInflightFromDevice().append(id, stage.unkept, bytes, at, at);
    else if (!resent) remember(s, id, waits, bytes, at, bodyAt, end, aliasAt);
    if (waits) return;
  }
  if (aliasAt === 0) s.toNode.pass(bytes, at, end);
  else passAliased(s, bytes, at, bodyAt, end, aliasAt, rest);
}

/**
 * May the device use this alias, and has it set the alias where the packet has no topic [MQTT-3.3.2-8, 3.3.2-9]? A
 * packet without alias passes too.
 */
function isAlias(s: State, bytes: Uint8Array, bodyAt: number, aliasAt: number): boolean {
  if (aliasAt === 0) return true;
  if (aliasAt === MALFORMED) return false;
  const number = uint16(bytes, aliasAt + 1);
  if (number === 0 || number > s.advertised.topicAliasMaximum) return false;
  return uint16(bytes, bodyAt) > 0 || s.aliases?.get(number) !== undefined;
}

/** Keeps a copy that needs no alias: by the time of a resend the device may have given its alias another topic. */
function remember(
  s: State,
  id: number,
  waits: boolean,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  aliasAt: number,
): void {
  const to = waits ? stage.waiting : stage.sent;
  const topic = aliasAt === 0 ? undefined : topicOf(s, bytes, bodyAt, uint16(bytes, aliasAt + 1));
  const inflightFromDevice = s.needInflightFromDevice();
  let entry: number;
  if (topic === undefined) {
    entry = inflightFromDevice.append(id, to, bytes, at, end);
  } else {
    const copy = withTopic(bytes, at, bodyAt, end, topic, aliasAt, false);
    entry = inflightFromDevice.append(id, to, copy, 0, copy.length);
  }
  if (!waits) inflightFromDevice.markDuplicate(entry);
  if (topic !== undefined && waits && uint16(bytes, bodyAt) > 0)
    defineAlias(s, uint16(bytes, aliasAt + 1), topic, false);
}

function defineAlias(s: State, number: number, topic: Uint8Array, established: boolean): void {
  s.needAliases().set(number, topic, established);
  s.boundKnown();
}

/** The topic that this alias stands for; undefined when the device has not set it. */
function topicOf(s: State, bytes: Uint8Array, bodyAt: number, number: number): Uint8Array | undefined {
  const length = uint16(bytes, bodyAt);
  return length > 0 ? copyOf(bytes, bodyAt + 2, bodyAt + 2 + length) : s.aliases?.get(number)?.topic;
}

/** Rule 10: unchanged where the node knows the alias, else with the topic, and without an alias that is too high. */
function passAliased(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  aliasAt: number,
  rest: number,
): void {
  const number = uint16(bytes, aliasAt + 1);
  const taken = number <= s.terms.topicAliasMaximum;
  const alias = s.aliases?.get(number);
  const topic = topicOf(s, bytes, bodyAt, number);
  if (topic === undefined) return;
  if (uint16(bytes, bodyAt) > 0) defineAlias(s, number, topic, taken);
  else if (alias?.established) return s.toNode.pass(bytes, at, end);
  else if (alias !== undefined) alias.established = taken;
  if (uint16(bytes, bodyAt) > 0 && taken) return s.toNode.pass(bytes, at, end);
  s.toNode.write(withTopic(bytes, at, bodyAt, end, topic, aliasAt, taken, rest));
}

/** PUBREL from the device. */
function released(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const id = leadingId(bytes, bodyAt, end);
  if (id === 0) return s.toNode.pass(bytes, at, end);
  const inflightFromDevice = s.needInflightFromDevice();
  const entry = inflightFromDevice.find(id);
  if (entry >= 0 && inflightFromDevice.stage(entry) === stage.local) {
    inflightFromDevice.remove(entry);
    return s.toDevice.write(ackPacket(packetType.pubcomp, id)); // rule 4
  }
  // Unknown: an exchange from before this connection [MQTT-4.4.0-1].
  if (entry < 0 && inflightFromDevice.isFull) s.needRare().notUnderstood = true;
  else if (entry < 0) inflightFromDevice.append(id, stage.released, bytes, at, at);
  else inflightFromDevice.setStage(entry, stage.released);
  s.toNode.pass(bytes, at, end);
}
