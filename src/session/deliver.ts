import { uint16 } from '../base/bytes.ts';
import { propertiesEnd } from '../protocol/mqtt/properties.ts';
import { reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { MALFORMED, varintEnd } from '../protocol/mqtt/varint.ts';
import { ackPacket, packetType } from './encode.ts';
import { FreshFilters } from './fresh-filters.ts';
import { type InflightToDevice, MOST_UNFINISHED } from './inflight-to-device.ts';
import type { MigrationState } from './migration-state.ts';
import { aliased, followsAliases, withoutAlias } from './node-aliases.ts';
import { DUP, hashOf, hashOfLarge, qosOf, RETAIN, topicEnd, withPacketId } from './publish.ts';
import { type Owner, owner, step } from './stages.ts';
import type { State } from './state.ts';
import { leadingId } from './subscribe.ts';

/**
 * Messages to the device: which packet ids they carry, whether they are a repetition, and which node their
 * acknowledgement goes to.
 */

const FAILED = 0x80;

/** PUBLISH from the node; `rest` bytes of it are to come. True when the device gets it now. */
export function deliver(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  rest = 0,
): boolean {
  const found = followsAliases(s) ? aliased(s, bytes, at, bodyAt, end, rest) : undefined;
  if (found === undefined) return deliverPlain(s, bytes, at, bodyAt, end, rest);
  const { number, packet } = found;
  const aliases = s.migration?.nodeAliases;
  if ((aliases?.bytes ?? 0) > s.options.maxStateBytes) {
    s.end(reasonCode.quotaExceeded, 'too-much-held');
    return false;
  }
  const given =
    packet === undefined
      ? deliverPlain(s, bytes, at, bodyAt, end, rest)
      : deliverPlain(s, packet, 0, varintEnd(packet, 1, packet.length), packet.length, rest);
  if (given) aliases?.establish(number);
  return given;
}

function deliverPlain(
  s: State,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
  rest: number,
): boolean {
  const header = bytes[at] as number;
  const qos = qosOf(header);
  const mayBeReplay = (header & RETAIN) !== 0 && s.migration !== undefined && answersReplays(s, s.migration);
  if (qos === 0 && !mayBeReplay) {
    s.toDevice.pass(bytes, at, end);
    return true;
  }
  const idAt = topicEnd(bytes, at, bodyAt, end);
  if (idAt === MALFORMED || qos === 3) {
    s.nodeFault('malformed PUBLISH');
    return false;
  }
  const drop = mayBeReplay && !s.migration?.fresh?.matches(bytes, bodyAt + 2, idAt);
  if (qos === 0) {
    if (!drop) s.toDevice.pass(bytes, at, end);
    return !drop;
  }
  const id = uint16(bytes, idAt);
  if (drop) {
    swallow(s, id, qos);
    return false;
  }
  const hash = payloadHash(s, bytes, idAt + 2, end, end - at + rest);
  const inflightToDevice = s.needInflightToDevice();
  const again = (header & DUP) !== 0;
  const repeated = again ? byThisLink(inflightToDevice, id, qos, hash) : -1;
  if (repeated >= 0) {
    passAs(s, inflightToDevice.deviceId(repeated), id, bytes, at, end, idAt);
    return true;
  }
  const isLookedAt = inflightToDevice.foreign > 0 || again || s.migration?.holds;
  if (isLookedAt || isHeldForAnother(s, inflightToDevice, id, qos, hash)) {
    if (redelivered(s, inflightToDevice, id, qos, hash)) return false;
    if (mustWait(s, inflightToDevice)) {
      if (rest > 0) s.end(reasonCode.quotaExceeded, 'too-much-held');
      else hold(s, id, bytes, at, bodyAt, end);
      return false;
    }
  }
  give(s, inflightToDevice, id, owner.node, hash, bytes, at, end, idAt);
  return true;
}

/**
 * Rule 8: before MQTT 5, RETAIN 1 means that a new subscription is being answered [MQTT-3.3.1-8], soon after it was made.
 * To a bridge it means nothing: what is retained comes to it again, because what is live must not be lost.
 */
function answersReplays(s: State, { retainedUntilMs }: MigrationState): boolean {
  if (retainedUntilMs === 0 || s.version === 5 || s.connect.isBridge) return false;
  return s.options.now() < retainedUntilMs;
}

/** Retained messages that answer a SUBSCRIBE of the device itself are for the device. */
export function noteFresh(s: State, migration: MigrationState, packet: Uint8Array): void {
  if (!answersReplays(s, migration) || (packet[0] as number) >> 4 !== packetType.subscribe) return;
  migration.fresh ??= new FreshFilters();
  migration.fresh.add(packet, s.version);
}

/** The device has this message already. The node is answered, so that it can forget the message too. */
function swallow(s: State, id: number, qos: number): void {
  s.toNode.write(ackPacket(qos === 1 ? packetType.puback : packetType.pubrec, id));
  if (qos === 1) return;
  const migration = s.needMigration();
  migration.swallowed ??= new Set();
  migration.swallowed.add(id);
}

/** `size` is that of the whole packet, which may not have come yet. */
function payloadHash(s: State, bytes: Uint8Array, propertiesAt: number, end: number, size: number): number {
  const payloadAt = s.version === 5 ? propertiesEnd(bytes, propertiesAt, end) : propertiesAt;
  if (payloadAt < 0) return 0;
  const isLarge = size > s.options.maxPacketBytes;
  return isLarge ? hashOfLarge(bytes, payloadAt, end, size) : hashOf(bytes, payloadAt, end);
}

/**
 * The message that is under way to the device by this very link, or -1. Brokers that wait for an acknowledgement in vain send a
 * message once more (`retry_interval` of EMQX and VerneMQ): whether the device needs that is not ours to judge (rule 0).
 */
function byThisLink(inflightToDevice: InflightToDevice, id: number, qos: number, hash: number): number {
  const entry = inflightToDevice.byNode(id);
  if (entry < 0 || inflightToDevice.owner(entry) !== owner.node) return -1;
  const isSame = inflightToDevice.isQos2(entry) === (qos === 2) && inflightToDevice.hash(entry) === hash;
  return isSame && inflightToDevice.step(entry) !== step.done ? entry : -1;
}

/**
 * Does the device have this message already, of a link before? Its connection has stayed up, so whatever was passed on is there or on
 * its way: the message is not sent twice, and the one acknowledgement goes to this node. The payload decides, not
 * DUP: aedes leaves DUP out in spite of [MQTT-3.3.1-1], and a node may have lost count of its packet ids.
 */
function redelivered(
  s: State,
  inflightToDevice: InflightToDevice,
  id: number,
  qos: number,
  hash: number,
): boolean {
  const entry = inflightToDevice.byNode(id);
  if (entry < 0) return false;
  if (inflightToDevice.isQos2(entry) !== (qos === 2) || inflightToDevice.hash(entry) !== hash) {
    abandon(s, inflightToDevice, entry);
    return false;
  }
  const now = inflightToDevice.step(entry);
  if (qos === 1 && now === step.done) {
    inflightToDevice.remove(entry);
    s.toNode.write(ackPacket(packetType.puback, id));
    return true;
  }
  inflightToDevice.set(entry, now, owner.node);
  if (now !== step.published) s.toNode.write(ackPacket(packetType.pubrec, id));
  return true;
}

/**
 * Has the device another QoS 2 message under this id, which the node has not released? After a re-attach a node may count
 * into the ids that its copy of the session has from the node before, as aedes does. The device would take the message for
 * that one, and drop it [MQTT-4.3.3-10].
 */
function isHeldForAnother(
  s: State,
  inflightToDevice: InflightToDevice,
  id: number,
  qos: number,
  hash: number,
): boolean {
  if (qos !== 2 || s.attachments < 2 || inflightToDevice.isEmpty) return false;
  const entry = inflightToDevice.byNode(id);
  if (entry < 0 || !inflightToDevice.isQos2(entry)) return false;
  return inflightToDevice.step(entry) < step.released && inflightToDevice.hash(entry) !== hash;
}

/** The node does not know this exchange: the device's half is finished from here [MQTT-4.3.3-10] (rule 5). */
function abandon(s: State, inflightToDevice: InflightToDevice, entry: number): void {
  const now = inflightToDevice.step(entry);
  if (now === step.done) return inflightToDevice.remove(entry);
  if (now === step.received) s.toDevice.write(ackPacket(packetType.pubrel, inflightToDevice.deviceId(entry)));
  inflightToDevice.set(entry, now === step.received ? step.released : now, owner.orphan);
}

/** No node will continue these exchanges. */
export function abandonSuspended(s: State, inflightToDevice: InflightToDevice): void {
  if (inflightToDevice.suspended === 0) return;
  for (let at = inflightToDevice.first(), next = -1; at >= 0; at = next) {
    next = inflightToDevice.next(at);
    if (inflightToDevice.owner(at) === owner.suspended) abandon(s, inflightToDevice, at);
  }
}

/** Rule 11: old deliveries still count at the device, though not at the new node [MQTT-3.3.4-9]. */
function mustWait(s: State, inflightToDevice: InflightToDevice): boolean {
  if (s.migration?.holds) return true;
  if (hasRoom(s, inflightToDevice)) return false;
  // The node sends new messages, so it will not come back to the old ones: let the device finish them.
  abandonSuspended(s, inflightToDevice);
  return !hasRoom(s, inflightToDevice);
}

/** May the device be given one more message? Some packet ids must also stay free for messages of another node. */
function hasRoom({ connect }: State, { unfinished, foreign }: InflightToDevice): boolean {
  const { receiveMaximum } = connect.properties;
  const most = foreign > 0 ? Math.min(receiveMaximum, MOST_UNFINISHED) : receiveMaximum;
  return unfinished < most;
}

function hold(s: State, id: number, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const copy = followsAliases(s) ? withoutAlias(s, bytes, at, bodyAt, end) : undefined;
  const held = s.needMigration().hold(id, copy ?? bytes, copy ? 0 : at, copy ? copy.length : end);
  if (held.isFull || held.bytes > s.options.maxInflightBytes)
    s.end(reasonCode.quotaExceeded, 'too-much-held');
}

/** The device has finished a message: what waited for it goes out, oldest first. */
export function giveHeld(s: State): void {
  const { migration, inflightToDevice } = s;
  const held = migration?.held;
  if (migration === undefined || held === undefined || inflightToDevice === undefined) return;
  for (let at = held.first(); at >= 0 && hasRoom(s, inflightToDevice); at = held.first()) {
    const packet = held.packet(at);
    const idAt = heldIdAt(packet);
    const hash = payloadHash(s, packet, idAt + 2, packet.length, packet.length);
    const by = migration.isOrphaned(held, at) ? owner.orphan : owner.node;
    give(s, inflightToDevice, held.id(at), by, hash, packet, 0, packet.length, idAt);
    held.remove(at);
  }
}

function heldIdAt(packet: Uint8Array): number {
  let bodyAt = 2;
  while ((packet[bodyAt - 1] as number) >= 0x80) bodyAt++;
  return topicEnd(packet, 0, bodyAt, packet.length);
}

/** A message that is new to the device. */
function give(
  s: State,
  inflightToDevice: InflightToDevice,
  id: number,
  by: Owner,
  hash: number,
  bytes: Uint8Array,
  at: number,
  end: number,
  idAt: number,
): void {
  if (inflightToDevice.isFull) return s.nodeFault('more messages at a time than there are packet ids');
  const collides = inflightToDevice.foreign > 0 && inflightToDevice.byDevice(id) >= 0;
  const deviceId = collides ? inflightToDevice.freeDeviceId() : id;
  inflightToDevice.add(id, deviceId, qosOf(bytes[at] as number) === 2, hash, step.published, by);
  passAs(s, deviceId, id, bytes, at, end, idAt);
}

function passAs(
  s: State,
  deviceId: number,
  id: number,
  bytes: Uint8Array,
  at: number,
  end: number,
  idAt: number,
): void {
  if (deviceId === id) s.toDevice.pass(bytes, at, end);
  else s.toDevice.write(withPacketId(bytes, at, end, idAt, deviceId));
}

/** PUBREL from the node. */
export function releasedByNode(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const id = leadingId(bytes, bodyAt, end);
  if (s.migration?.swallowed?.delete(id)) return s.toNode.write(ackPacket(packetType.pubcomp, id));
  const inflightToDevice = s.needInflightToDevice();
  const entry = inflightToDevice.byNode(id);
  if (entry < 0) {
    // From before this connection; or long finished, and then the device holds the id for something else.
    if (inflightToDevice.foreign > 0 && inflightToDevice.byDevice(id) >= 0) {
      return s.toNode.write(ackPacket(packetType.pubcomp, id));
    }
    if (inflightToDevice.isFull) return s.nodeFault('more messages at a time than there are packet ids');
    inflightToDevice.add(id, id, true, 0, step.released, owner.node);
    return s.toDevice.pass(bytes, at, end);
  }
  if (inflightToDevice.step(entry) === step.done) {
    inflightToDevice.remove(entry);
    return s.toNode.write(ackPacket(packetType.pubcomp, id));
  }
  // Of a link before: the device has this PUBREL, and its PUBCOMP will come.
  const known =
    inflightToDevice.step(entry) === step.released && inflightToDevice.owner(entry) !== owner.node;
  inflightToDevice.set(entry, step.released, owner.node);
  if (!known) passAs(s, inflightToDevice.deviceId(entry), id, bytes, at, end, bodyAt);
}

/** PUBACK, PUBREC or PUBCOMP from the device. One for a message that it was never given is for the node to judge. */
export function acknowledgedByDevice(
  s: State,
  type: number,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
): void {
  const { inflightToDevice } = s;
  const id = leadingId(bytes, bodyAt, end);
  const entry = inflightToDevice?.byDevice(id) ?? -1;
  if (inflightToDevice === undefined || entry < 0) {
    const means =
      inflightToDevice !== undefined && inflightToDevice.foreign > 0 && inflightToDevice.byNode(id) >= 0;
    if (!means) s.toNode.pass(bytes, at, end); // the node would take it for another message
    return;
  }
  const by = inflightToDevice.owner(entry);
  const nodeId = inflightToDevice.nodeId(entry);
  const failed = s.version === 5 && end > bodyAt + 2 && (bytes[bodyAt + 2] as number) >= FAILED;
  const goesOn = type === packetType.pubrec && !failed && inflightToDevice.isQos2(entry);
  if (by === owner.node) {
    if (goesOn) inflightToDevice.set(entry, step.received, by);
    else inflightToDevice.remove(entry);
    if (nodeId === id) s.toNode.pass(bytes, at, end);
    else s.toNode.write(withPacketId(bytes, at, end, bodyAt, nodeId));
  } else if (by === owner.suspended) {
    // The next node gets the answer when it redelivers; until then the id means nothing to it.
    inflightToDevice.set(entry, goesOn ? step.received : step.done, by);
  } else if (goesOn) {
    inflightToDevice.set(entry, step.released, by);
    s.toDevice.write(ackPacket(packetType.pubrel, id));
  } else {
    inflightToDevice.remove(entry);
  }
  if (!goesOn) giveHeld(s);
}
