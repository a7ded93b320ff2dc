/** What a packet from the node does to the session, and whether the device gets it. */

import { reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { readServerReference } from './connack-capabilities.ts';
import { abandonSuspended, deliver, releasedByNode } from './deliver.ts';
import { ackPacket, copyOf, packetType } from './encode.ts';
import { exchange } from './inflight-from-device.ts';
import { unsubscribedFrom } from './memory.ts';
import type { MigrationState } from './migration-state.ts';
import { answered } from './quiescence.ts';
import { sendWaiting } from './quota.ts';
import { connackFromNode, replayAnswered } from './resume.ts';
import { stage } from './stages.ts';
import type { State } from './state.ts';
import { filtersOf, granted, leadingId, readCodes } from './subscribe.ts';

const FAILED = 0x80;
const PACKET_ID_IN_USE = 0x91;
/** From so many changes in one packet on, a map is quicker. */
const MANY_FILTERS = 32;
const PACKET_ID_UNKNOWN = 0x92;

/** A whole packet from the node on the link that is up. */
export function packetFromNode(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  if (s.phase === 'over' || s.linkDead) return;
  const type = (bytes[at] as number) >> 4;
  if (!s.answered) {
    if (type === packetType.connack) return connackFromNode(s, bytes, at, bodyAt, end);
    if (type === packetType.auth && s.phase === 'connecting') {
      s.needRare().authenticates = true;
      return s.toDevice.pass(bytes, at, end);
    }
    return s.nodeFault('first packet is not CONNACK [MQTT-3.2.0-1]');
  }
  switch (type) {
    case packetType.publish:
      return void deliver(s, bytes, at, bodyAt, end);
    case packetType.puback:
    case packetType.pubrec:
    case packetType.pubcomp:
      acknowledgedByNode(s, type, bytes, at, bodyAt, end);
      return answered(s);
    case packetType.pubrel:
      return releasedByNode(s, bytes, at, bodyAt, end);
    case packetType.suback:
    case packetType.unsuback:
      answeredByNode(s, type, bytes, at, bodyAt, end);
      return answered(s);
    case packetType.pingresp:
      ponged(s, bytes, at, end);
      return answered(s);
    case packetType.auth:
      if (s.version === 5) return s.toDevice.pass(bytes, at, end);
      break;
    case packetType.disconnect:
      if (s.version === 5) return disconnected(s, bytes, at, bodyAt, end);
  }
  s.nodeFault(`packet type ${type} from a node`);
}

/** PUBACK, PUBREC or PUBCOMP from the node. One for a packet that was not understood is for the device to judge. */
function acknowledgedByNode(
  s: State,
  type: number,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
): void {
  const { inflightFromDevice } = s;
  const entry = inflightFromDevice?.find(leadingId(bytes, bodyAt, end)) ?? -1;
  if (inflightFromDevice === undefined || entry < 0) return s.toDevice.pass(bytes, at, end);
  const now = inflightFromDevice.stage(entry);
  if (now === stage.waiting || now === stage.local) return;
  const id = inflightFromDevice.id(entry);
  const code = s.version === 5 && end > bodyAt + 2 ? (bytes[bodyAt + 2] as number) : 0;
  const isDone = wasTakenOver(s, type, id, code);
  if (type !== packetType.pubrec || (code >= FAILED && !isDone)) {
    inflightFromDevice.remove(entry);
    s.migration?.resent?.delete(id);
  } else if (now === stage.sent || now === stage.unkept) inflightFromDevice.setStage(entry, stage.received);
  if (isDone) s.toDevice.write(ackPacket(type, id));
  else s.toDevice.pass(bytes, at, end);
  if (s.migration?.isOnTrial) endTrial(s, s.migration);
  sendWaiting(s);
}

/**
 * A node that has taken the session over calls the packet id of a PUBLISH that was resent in use (0x91), and that of a
 * PUBREL unknown (0x92), where the node before had come so far already: both are done (rule 4).
 */
function wasTakenOver(s: State, type: number, id: number, code: number): boolean {
  if (!s.migration?.resent?.has(id)) return false;
  return type === packetType.pubrec ? code === PACKET_ID_IN_USE : code === PACKET_ID_UNKNOWN;
}

/** SUBACK or UNSUBACK: to a replay of ours, or to the device. */
function answeredByNode(
  s: State,
  type: number,
  bytes: Uint8Array,
  at: number,
  bodyAt: number,
  end: number,
): void {
  const id = leadingId(bytes, bodyAt, end);
  const codes = readCodes(bytes, bodyAt, end, s.version);
  if (codes === undefined) return s.nodeFault('malformed SUBACK or UNSUBACK');
  if (type === packetType.suback && replayAnswered(s, id, codes)) return;
  const { inflightFromDevice } = s;
  const entry =
    inflightFromDevice?.find(id, type === packetType.suback ? exchange.subscribe : exchange.unsubscribe) ??
    -1;
  if (inflightFromDevice === undefined || entry < 0) return s.toDevice.pass(bytes, at, end);
  const packet = inflightFromDevice.packet(entry);
  inflightFromDevice.remove(entry);
  s.toDevice.pass(bytes, at, end);
  if (type === packetType.suback) subscribed(s, packet, codes);
  else unsubscribed(s, packet, codes);
  if (s.migration?.isOnTrial) endTrial(s, s.migration);
}

/** Has the node answered everything that the former node may have died of? */
function endTrial(s: State, migration: MigrationState): void {
  if ((s.inflightFromDevice?.suspects ?? 0) > 0) return;
  migration.isOnTrial = false;
  s.event({ kind: 'acquitted' });
}

/** Remembers what was granted, as long as it is not too much. */
function subscribed(s: State, packet: Uint8Array, codes: Uint8Array): void {
  let i = 0;
  for (const asked of filtersOf(packet, s.version)) {
    if (s.rare.overflown) return;
    const code = codes[i] ?? 0;
    if (code < FAILED) s.needSubscriptions().set(granted(asked, code));
    if (++i === MANY_FILTERS) s.subscriptions?.hash();
    s.boundKnown(i);
    s.budget--;
  }
}

function unsubscribed(s: State, packet: Uint8Array, codes: Uint8Array): void {
  let i = 0;
  for (const { filter } of filtersOf(packet, s.version)) {
    if (s.rare.overflown || (s.subscriptions === undefined && !s.inherited)) return;
    if ((codes[i] ?? 0) < FAILED) unsubscribedFrom(s, filter);
    if (++i === MANY_FILTERS) s.subscriptions?.hash();
    s.boundKnown(i);
    s.budget--;
  }
}

/** The answer goes to the device's pings first: which of us asked first makes no difference. */
function ponged(s: State, bytes: Uint8Array, at: number, end: number): void {
  if (s.migration?.awaitsRedelivery) {
    s.migration.awaitsRedelivery = false;
    if (s.inflightToDevice !== undefined) abandonSuspended(s, s.inflightToDevice);
  }
  const isOwed = s.pingsSent > 0;
  if (isOwed) s.pingsSent--;
  if (s.pingsOwed > 0) s.pingsOwed--;
  else if (s.rare.pingsOdd > 0) {
    const rare = s.needRare();
    rare.pingsOdd--;
    if (isOwed) rare.pingsSpare++;
  } else if (isOwed) return;
  else if (s.rare.pingsSpare > 0) {
    s.needRare().pingsSpare--;
    return;
  }
  s.toDevice.pass(bytes, at, end);
}

/** A DISCONNECT that asks for another node is handled here (rules 1 and 14); any other is meant for the device. */
function disconnected(s: State, bytes: Uint8Array, at: number, bodyAt: number, end: number): void {
  const code = end > bodyAt ? (bytes[bodyAt] as number) : 0;
  s.linkDead = true;
  switch (s.stays === undefined && s.phase !== 'leaving' ? code : reasonCode.success) {
    case reasonCode.serverShuttingDown:
    case reasonCode.useAnotherServer:
    case reasonCode.serverMoved: {
      const serverReference = readServerReference(bytes, bodyAt, end);
      return s.event({ kind: 'node-leaving', code, serverReference, packet: copyOf(bytes, at, end) });
    }
    case reasonCode.sessionTakenOver:
      return s.event({ kind: 'taken-over', packet: copyOf(bytes, at, end) });
  }
  s.toDevice.pass(bytes, at, end);
  s.phase = 'over';
  s.event({ kind: 'node-ended', code });
}
