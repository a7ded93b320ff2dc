/** Reads a session that another process has described. */

import { decodeConnect } from '../protocol/mqtt/connect.ts';
import { MALFORMED, varintEnd } from '../protocol/mqtt/varint.ts';
import { packetType } from './encode.ts';
import { type HandedInflightFromDevice, type HandedSession, sessionShape, sizeOf } from './handed.ts';
import { topicEnd } from './publish.ts';
import { stage } from './stages.ts';
import { isRequest } from './subscribe.ts';

export const handedSession = sessionShape.refine(isConsistent);

/** Only what can be taken apart is remembered, and so it can when it is needed again. */
function isConsistent({ raw, state }: HandedSession): boolean {
  const { inflightFromDevice: sent, migration: moved } = state;
  const result = decodeConnect(raw, 0, raw.length, Number.POSITIVE_INFINITY);
  if (result.kind !== 'connect' || result.end !== raw.length) return false;
  const { protocolVersion: version } = result.connect;
  const isSound = ({ stage: at, packet }: HandedInflightFromDevice['entries'][number]): boolean => {
    if (at > stage.asked) return packet.length === 0;
    if (packet.length < 2 || sizeOf(packet) !== packet.length) return false;
    const type = (packet[0] as number) >> 4;
    const bodyAt = varintEnd(packet, 1, packet.length);
    if (at !== stage.asked)
      return type === packetType.publish && topicEnd(packet, 0, bodyAt, packet.length) !== MALFORMED;
    const subscribes = type === packetType.subscribe;
    if (!subscribes && type !== packetType.unsubscribe) return false;
    return isRequest(packet, bodyAt, packet.length, version, subscribes);
  };
  return [sent, moved?.held].every((table) => table === undefined || table.entries.every(isSound));
}
