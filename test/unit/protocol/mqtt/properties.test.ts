import { generate, type Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { propertiesEnd, property, propertyEnd } from '../../../../src/protocol/mqtt/properties.ts';
import { MALFORMED, varintEnd } from '../../../../src/protocol/mqtt/varint.ts';

const packets: [string, Packet, number][] = [
  [
    'CONNACK',
    {
      cmd: 'connack',
      reasonCode: 0,
      sessionPresent: false,
      properties: {
        sessionExpiryInterval: 1,
        receiveMaximum: 2,
        maximumQoS: 1,
        retainAvailable: true,
        maximumPacketSize: 100,
        assignedClientIdentifier: 'id',
        topicAliasMaximum: 3,
        reasonString: 'why',
        userProperties: { a: 'b' },
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: true,
        sharedSubscriptionAvailable: false,
        serverKeepAlive: 4,
        responseInformation: 'info',
        serverReference: 'there',
        authenticationMethod: 'm',
        authenticationData: Buffer.from('d'),
      },
    },
    4, // fixed header, flags, code
  ],
  [
    'PUBLISH',
    {
      cmd: 'publish',
      topic: 't',
      payload: '',
      qos: 0,
      retain: false,
      dup: false,
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 1,
        topicAlias: 2,
        responseTopic: 'r',
        correlationData: Buffer.from('c'),
        subscriptionIdentifier: 268_435_455,
        contentType: 'x',
      },
    },
    5, // fixed header, topic
  ],
];

test.each(packets)('walks every property that mqtt-packet writes into %s, to the end', (_, packet, at) => {
  const bytes = generate(packet, { protocolVersion: 5 });
  const end = propertiesEnd(bytes, at, bytes.length);
  expect(end).toBe(bytes.length);
  const seen: number[] = [];
  for (let next = varintEnd(bytes, at, end); next < end; ) {
    seen.push(bytes[next] as number);
    next = propertyEnd(bytes, next, end);
    expect(next).not.toBe(MALFORMED);
  }
  const written = Object.keys((packet as { properties: object }).properties);
  expect(seen).toHaveLength(written.length);
  expect(Object.values(property)).toEqual(expect.arrayContaining(seen));
});

test('every named property has a value type', () => {
  for (const id of Object.values(property)) {
    expect(propertyEnd(Uint8Array.of(id, 0, 0, 0, 0), 0, 5), `0x${id.toString(16)}`).toBeGreaterThan(1);
  }
});
