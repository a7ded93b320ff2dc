import fc from 'fast-check';
import { generate, type IConnectPacket } from 'mqtt-packet';
import type { ProtocolVersion } from '../../../../src/protocol/mqtt/protocol.ts';

/** CONNECT packets made by `mqtt-packet`, an implementation that is not ours. */

export interface ConnectShape {
  version: ProtocolVersion;
  clientId: string;
  clean: boolean;
  keepalive: number;
  username?: string | undefined;
  password?: Buffer | undefined;
  will?: IConnectPacket['will'];
  properties?: IConnectPacket['properties'];
}

export function connectPacket(shape: ConnectShape): Buffer {
  const { version, username, password, will, properties, ...rest } = shape;
  return generate({
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    ...rest,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(will === undefined ? {} : { will }),
    ...(version === 5 && properties !== undefined ? { properties } : {}),
  });
}

/** Text that MQTT allows: no U+0000, no lone surrogate. Never empty: `mqtt-packet` takes that for absent. */
const text = (maxLength: number) =>
  fc
    .string({ minLength: 1, maxLength, unit: 'binary' })
    .map((raw) => raw.replaceAll('\0', '0'))
    .filter((kept) => !/\p{Surrogate}/u.test(kept));

const binary = (maxLength: number) =>
  fc.uint8Array({ minLength: 1, maxLength }).map((bytes) => Buffer.from(bytes));

const uint32 = (min: number) => fc.integer({ min, max: 0xffff_ffff });
const uint16 = (min: number) => fc.integer({ min, max: 0xffff });
const userProperties = fc.dictionary(text(5), text(5), { minKeys: 1, maxKeys: 3, noNullPrototype: true });

const will = fc.record(
  {
    topic: text(20),
    payload: binary(200),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    retain: fc.boolean(),
    properties: fc.record(
      {
        willDelayInterval: uint32(0),
        payloadFormatIndicator: fc.boolean(),
        messageExpiryInterval: uint32(0),
        contentType: text(5),
        responseTopic: text(5),
        correlationData: binary(5),
        userProperties,
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
  { requiredKeys: ['topic', 'payload', 'qos', 'retain'], noNullPrototype: true },
);

const properties = fc
  .record(
    {
      sessionExpiryInterval: uint32(0),
      receiveMaximum: uint16(1),
      maximumPacketSize: uint32(1),
      topicAliasMaximum: uint16(0),
      requestResponseInformation: fc.boolean(),
      requestProblemInformation: fc.boolean(),
      userProperties,
      authenticationMethod: text(5),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .chain((made) =>
    made.authenticationMethod === undefined
      ? fc.constant(made)
      : binary(5).map((authenticationData) => ({ ...made, authenticationData })),
  );

/** Any valid CONNECT. */
export const connectShape: fc.Arbitrary<ConnectShape> = fc
  .record(
    {
      version: fc.constantFrom(3 as const, 4 as const, 5 as const),
      clientId: text(40),
      clean: fc.boolean(),
      keepalive: uint16(0),
      username: text(20),
      password: binary(20),
      will,
      properties,
    },
    { requiredKeys: ['version', 'clientId', 'clean', 'keepalive'], noNullPrototype: true },
  )
  // Without a user name mqtt-packet writes no password, though MQTT 5 allows it.
  .map((shape) => (shape.username === undefined ? { ...shape, password: undefined } : shape));
