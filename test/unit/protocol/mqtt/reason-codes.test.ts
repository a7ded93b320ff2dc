import { type Packet, parser } from 'mqtt-packet';
import { expect, test } from 'vitest';
import {
  type ConnackRefusal,
  disconnectPacket,
  reasonCode,
  refusalConnack,
  SERVER_REFERENCE_MAX,
} from '../../../../src/protocol/mqtt/reason-codes.ts';

/** The one packet in these bytes, as `mqtt-packet` reads it. */
function parse(bytes: Uint8Array, protocolVersion: 3 | 4 | 5): Packet {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on('packet', (packet) => packets.push(packet));
  expect(reader.parse(Buffer.from(bytes))).toBe(0); // nothing is left over
  expect(packets).toHaveLength(1);
  return packets[0] as Packet;
}

test.each<[ConnackRefusal, number, number]>([
  ['protocol-version', 1, 0x84],
  ['bad-credentials', 4, 0x86],
  ['not-authorized', 5, 0x87],
  ['banned', 5, 0x8a],
  ['server-unavailable', 3, 0x88],
  ['server-busy', 3, 0x89],
  ['quota-exceeded', 3, 0x97],
  ['rate-exceeded', 3, 0x9f],
])('CONNACK for %s: %i in 3.1 and 3.1.1, %i in 5.0; no session present [MQTT-3.2.2-6]', (refusal, v3, v5) => {
  for (const version of [3, 4] as const) {
    expect(parse(refusalConnack(version, refusal), version)).toMatchObject({
      cmd: 'connack',
      returnCode: v3,
      sessionPresent: false,
    });
  }
  expect(parse(refusalConnack(5, refusal), 5)).toMatchObject({
    cmd: 'connack',
    reasonCode: v5,
    sessionPresent: false,
  });
});

test('DISCONNECT of MQTT 5 carries any reason (3.14.2.1)', () => {
  for (const code of [
    reasonCode.serverShuttingDown,
    reasonCode.sessionTakenOver,
    reasonCode.maximumConnectTime,
  ]) {
    expect(parse(disconnectPacket(code), 5)).toMatchObject({ cmd: 'disconnect', reasonCode: code });
  }
});

test('DISCONNECT carries a Server Reference of any length that may be configured (3.14.2.2.5)', () => {
  for (const serverReference of ['a:1', 'x'.repeat(SERVER_REFERENCE_MAX)])
    expect(parse(disconnectPacket(reasonCode.useAnotherServer, serverReference), 5)).toMatchObject({
      ...{ cmd: 'disconnect', reasonCode: 0x9c, properties: { serverReference } },
    });
});
