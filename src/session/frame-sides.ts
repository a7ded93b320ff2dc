import { reasonCode } from '../protocol/mqtt/reason-codes.ts';
import { deliver } from './deliver.ts';
import { packetType } from './encode.ts';
import type { FrameHandler } from './frames.ts';
import { packetFromDevice, publish, usesAliases } from './from-device.ts';
import { packetFromNode } from './from-node.ts';
import { isRecognizable, qosOf } from './publish.ts';
import type { State } from './state.ts';

/** How the packets of each side are handled, whole or in pieces. */

/** Where in `State.messages` the packets of nodes are counted. */
const NODES = 16;

/** Where behind `State.place` the PUBLISH packets of devices are counted; those of nodes follow. */
const PUBLISHES = 2;

function count(s: State, from: 0 | 16, header: number): void {
  const { messages } = s;
  const at = from + (header >> 4);
  messages[at] = (messages[at] as number) + 1;
  if (header >> 4 !== packetType.publish) return;
  const { traffic } = s;
  const place = s.place + PUBLISHES + (from >> 4);
  traffic[place] = (traffic[place] as number) + 1;
}

function goesOn(s: State): boolean {
  return s.budget > 0;
}

/**
 * Packets of the device go to its node whole, because half of one would be lost with the link. QoS 0 may be lost,
 * so it goes as it comes, unless the rate of the device is limited: a node that waits for the rest of a message
 * could not be sent a PINGREQ. A packet that is too large to be kept also goes as it comes, because the broker may
 * accept it all the same.
 */
export const deviceSide: FrameHandler<State> = {
  packet(s, bytes, at, bodyAt, end) {
    s.budget--;
    count(s, 0, bytes[at] as number);
    packetFromDevice(s, bytes, at, bodyAt, end);
  },
  unfinished(s, bytes, at, bodyAt, known, size) {
    if (s.deviceLeft || s.phase === 'over') return 'stream';
    if (!s.forwards) return 'keep';
    const { maxPacketBytes } = s.options;
    const header = bytes[at] as number;
    const isSmall = size <= maxPacketBytes;
    if (needsNoLook(s, header) && !(isSmall && s.options.isPaced)) return 'stream';
    if (isSmall) return 'keep';
    const isPublish = header >> 4 === packetType.publish;
    if (!isPublish || known - at >= maxPacketBytes) return 'stream';
    return isRecognizable(bytes, at, bodyAt, known, size, s.version) ? 'stream' : 'keep';
  },
  begin(s, bytes, at, bodyAt, known, rest) {
    const header = bytes[at] as number;
    count(s, 0, header);
    if (s.migration !== undefined) s.migration.cut = false;
    if (s.deviceLeft || s.phase !== 'attached') return;
    const isPublish = header >> 4 === packetType.publish;
    const size = known - at + rest;
    s.bill(header >> 4, known - at);
    if (needsNoLook(s, header)) {
      s.toNode.pass(bytes, at, known);
    } else if (isPublish && isRecognizable(bytes, at, bodyAt, known, size, s.version)) {
      publish(s, bytes, at, bodyAt, known, rest);
    } else {
      s.needRare().notUnderstood = true;
      s.toNode.pass(bytes, at, known);
    }
    s.toNode.open();
  },
  piece(s, bytes, start, end, last) {
    if (s.migration?.cut || s.deviceLeft || s.phase !== 'attached') return;
    s.bill(0, end - start);
    s.toNode.stream(bytes, start, end, last);
  },
  broken(s) {
    s.needRare().notUnderstood = true;
  },
  rest(s, bytes, start, end) {
    if (s.phase === 'over' || s.deviceLeft) return;
    if (s.forwards) s.toNode.pass(bytes, start, end);
    else s.needOfflineBuffer().append(bytes, start, end);
  },
  goesOn,
};

/** A QoS 0 PUBLISH in which nothing matters to the session. */
function needsNoLook(s: State, header: number): boolean {
  return header >> 4 === packetType.publish && qosOf(header) === 0 && !usesAliases(s);
}

/**
 * A node that crashes in the middle of a packet must not leave half of it with the device, so packets are passed on whole;
 * only messages larger than may be kept stream.
 */
export const nodeSide: FrameHandler<State> = {
  packet(s, bytes, at, bodyAt, end) {
    s.budget--;
    count(s, NODES, bytes[at] as number);
    packetFromNode(s, bytes, at, bodyAt, end);
  },
  unfinished(s, bytes, at, bodyAt, known, size) {
    const { maxPacketBytes } = s.options;
    if (size <= maxPacketBytes) return 'keep';
    if (!s.answered || s.phase === 'over' || (bytes[at] as number) >> 4 !== packetType.publish)
      return 'refuse';
    if (isRecognizable(bytes, at, bodyAt, known, size, s.version)) return 'stream';
    return known - at >= maxPacketBytes ? 'refuse' : 'keep';
  },
  begin(s, bytes, at, bodyAt, known, rest) {
    count(s, NODES, bytes[at] as number);
    if (s.phase === 'over' || s.linkDead) return;
    if (deliver(s, bytes, at, bodyAt, known, rest)) s.toDevice.open();
    else s.needMigration().drops = true;
  },
  piece(s, bytes, start, end, last) {
    if (s.phase === 'over' || s.linkDead) return;
    if (!s.migration?.drops) s.toDevice.stream(bytes, start, end, last);
    else if (last) s.migration.drops = false;
  },
  broken(s, fault) {
    if (fault === 'too-large') s.end(reasonCode.packetTooLarge, 'packet-too-large');
    else s.nodeFault('malformed fixed header');
  },
  rest() {},
  goesOn,
};
