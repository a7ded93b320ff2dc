import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeConnect } from '../../../../src/protocol/mqtt/connect.ts';
import { type ConnectShape, connectPacket, connectShape } from './packets.ts';

const MAX = 1_048_576;
const whole = (bytes: Uint8Array) => decodeConnect(bytes, 0, bytes.length, MAX);
const plain = { clientId: 'meter-1', clean: true, keepalive: 60 };

/** What a shape must decode to. */
function expected(shape: ConnectShape) {
  const given = shape.version === 5 ? shape.properties : undefined;
  const neverExpires = shape.version !== 5 && !shape.clean;
  return {
    protocolVersion: shape.version,
    isBridge: false,
    clientId: shape.clientId,
    cleanStart: shape.clean,
    keepAlive: shape.keepalive,
    username: shape.username,
    hasWill: shape.will !== undefined,
    properties: {
      sessionExpiryInterval: given?.sessionExpiryInterval ?? (neverExpires ? 0xffff_ffff : 0),
      receiveMaximum: given?.receiveMaximum ?? 65_535,
      maximumPacketSize: given?.maximumPacketSize,
      topicAliasMaximum: given?.topicAliasMaximum ?? 0,
      authenticationMethod: given?.authenticationMethod,
    },
  };
}

test('any valid CONNECT decodes to what was put in', () => {
  fc.assert(
    fc.property(connectShape, (shape) => {
      const packet = connectPacket(shape);
      const connect = expected(shape);
      expect(whole(packet)).toEqual({ kind: 'connect', connect, end: packet.length });
      expect(whole(new Uint8Array(packet))).toEqual({ kind: 'connect', connect, end: packet.length });
    }),
    { numRuns: 500 },
  );
});

test.each([
  3, 4, 5,
] as const)('one byte at a time, inside a larger buffer, with pipelined bytes behind: level %i', (version) => {
  const shape: ConnectShape = {
    version,
    clientId: 'zähler-1',
    clean: false,
    keepalive: 10,
    username: 'u',
    password: Buffer.from('p'),
    will: { topic: 'gone', payload: Buffer.alloc(300), qos: 1, retain: true },
    properties: { sessionExpiryInterval: 60, authenticationMethod: 'SCRAM-SHA-1' },
  };
  const packet = connectPacket(shape);
  const start = 7;
  const bytes = Buffer.concat([Buffer.alloc(start, 0xff), packet, Buffer.of(0xc0, 0)]);
  for (let length = 0; length < packet.length; length++) {
    expect(decodeConnect(bytes, start, start + length, MAX)).toEqual({ kind: 'incomplete' });
  }
  const end = start + packet.length;
  expect(decodeConnect(bytes, start, bytes.length, MAX)).toEqual({
    kind: 'connect',
    connect: expected(shape),
    end,
  });
});

test('an empty client id asks the server for one [MQTT-3.1.3-6], with clean session in 3.1.1 [MQTT-3.1.3-7]', () => {
  for (const version of [4, 5] as const) {
    const shape = { ...plain, version, clientId: '' };
    expect(whole(connectPacket(shape))).toMatchObject({ kind: 'connect', connect: expected(shape) });
  }
});

test('a client id of 65,535 bytes is taken; its length is for the node to judge', () => {
  const shape = { ...plain, version: 4 as const, clientId: 'x'.repeat(65_535) };
  expect(whole(connectPacket(shape))).toMatchObject({ connect: { clientId: shape.clientId } });
});

test('a byte order mark is kept [MQTT-1.5.4-3]', () => {
  const shape = { ...plain, version: 5 as const, clientId: '\ufeffmeter' };
  expect(whole(connectPacket(shape))).toMatchObject({ connect: { clientId: '\ufeffmeter' } });
});

test('MQTT 5 allows a password without a user name (3.1.2.9)', () => {
  const packet = Buffer.from([
    0x10,
    17,
    0,
    4,
    ...Buffer.from('MQTT'),
    5,
    0x42,
    0,
    60,
    0,
    0,
    1,
    0x69,
    0,
    1,
    0x70,
  ]);
  expect(whole(packet)).toMatchObject({ kind: 'connect', connect: { username: undefined } });
});

test('3.1: the remaining length takes precedence over the user name and password flags', () => {
  const packet = connectPacket({ ...plain, version: 3 });
  packet.writeUInt8(0xc2, 11);
  expect(whole(packet)).toMatchObject({ kind: 'connect', connect: { username: undefined } });
});

test("3.1: the unused flag and the will flags of no will are the sender's own affair (clause 3.1)", () => {
  const packet = connectPacket({ ...plain, version: 3 });
  packet.writeUInt8(0x3b, 11);
  expect(whole(packet)).toMatchObject({ kind: 'connect', connect: { hasWill: false } });
});

test.each([3, 4] as const)('the bridge bit of mosquitto is let through: level 0x8%i', (version) => {
  const packet = connectPacket({ ...plain, version });
  const levelAt = version === 3 ? 10 : 8;
  packet.writeUInt8(version | 0x80, levelAt);
  expect(whole(packet)).toMatchObject({
    kind: 'connect',
    connect: { protocolVersion: version, isBridge: true },
  });
});

test('a CONNECT of exactly the largest size is taken', () => {
  const packet = connectPacket({ ...plain, version: 4 });
  expect(decodeConnect(packet, 0, packet.length, packet.length).kind).toBe('connect');
  expect(decodeConnect(packet, 0, packet.length, packet.length - 1)).toMatchObject({ fault: 'too-large' });
});
