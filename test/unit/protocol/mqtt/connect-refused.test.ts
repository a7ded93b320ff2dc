import { expect, test } from 'vitest';
import { decodeConnect } from '../../../../src/protocol/mqtt/connect.ts';

/** Packets by hand: what is not valid, `mqtt-packet` would not write. */

const MAX = 65_536;
const V3 = [0, 6, ...Buffer.from('MQIsdp'), 3];
const V4 = [0, 4, ...Buffer.from('MQTT'), 4];
const V5 = [0, 4, ...Buffer.from('MQTT'), 5];
const KEEP_ALIVE = [0, 60];
const NO_PROPERTIES = [0];
const ID = [0, 2, 0x69, 0x64];
const WORD = [0, 1, 0x77];

const packet = (...parts: number[][]) => {
  const body = parts.flat();
  return Buffer.from([0x10, body.length, ...body]); // every body here is below 128 bytes
};
const v4 = (flags: number, ...rest: number[][]) => packet(V4, [flags], KEEP_ALIVE, ...rest);
const v5 = (flags: number, ...rest: number[][]) => packet(V5, [flags], KEEP_ALIVE, ...rest);
const withProperties = (...bytes: number[]) => v5(2, [bytes.length, ...bytes], ID);
const withWillProperties = (...bytes: number[]) =>
  v5(6, NO_PROPERTIES, ID, [bytes.length, ...bytes], WORD, WORD);

const outcome = (bytes: Buffer) => {
  const result = decodeConnect(bytes, 0, bytes.length, MAX);
  if (result.kind !== 'refused') return result.kind;
  return `${result.fault}${result.reply === undefined ? '' : ` ${Buffer.from(result.reply).toString('hex')}`}`;
};

test('the packets that the tables spoil are themselves valid', () => {
  const valid = [
    packet(V3, [2], KEEP_ALIVE, ID),
    v4(2, ID),
    v5(2, NO_PROPERTIES, ID),
    withProperties(),
    withWillProperties(),
  ];
  expect(valid.map(outcome)).toEqual(valid.map(() => 'connect'));
});

test('3.1 leaves DUP, QoS and RETAIN of CONNECT to the sender (3.1 clause 3.1)', () => {
  for (const header of [0x11, 0x14, 0x18, 0x1f]) {
    const bytes = Buffer.from(packet(V3, [2], KEEP_ALIVE, ID));
    bytes[0] = header;
    expect(outcome(bytes)).toBe('connect');
  }
});

test.each<[string, Buffer]>([
  ['random text', Buffer.from('hello')],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n')],
  ['a TLS client hello', Buffer.of(0x16, 3, 1)],
  ['one wrong byte', Buffer.of(0)],
  ['a first packet that is not CONNECT [MQTT-3.1.0-1]', Buffer.of(0x30, 2)],
  ['reserved fixed header flags [MQTT-2.2.2-2]', Buffer.of(0x11, 20, ...V4)],
  ['reserved fixed header flags before another name', Buffer.of(0x18, 20, 0, 5)],
  ['a remaining length of five bytes (2.1.4)', Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff)],
  ['a protocol name of another length [MQTT-3.1.2-1]', Buffer.of(0x10, 20, 0, 5)],
  ['another protocol name [MQTT-3.1.2-1]', Buffer.of(0x10, 20, 0, 4, 0x4d, 0x51, 0x54, 0x58)],
  ['a protocol name in lower case [MQTT-3.1.2-1]', Buffer.of(0x10, 20, 0, 4, 0x6d)],
])('not MQTT, known at once and without a reply: %s', (_, bytes) => {
  expect(outcome(bytes)).toBe('not-mqtt');
  expect(outcome(bytes.subarray(0, -1))).toMatch(
    (bytes[0] as number) >> 4 === 1 ? 'incomplete' : /not-mqtt|incomplete/,
  );
});

test.each<[string, Buffer, string]>([
  ['before its version is known: no reply', Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f), 'too-large'],
  ['3.1.1: no reply', Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f, ...V4), 'too-large'],
  ['5.0: 0x95', Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f, ...V5), 'too-large 2003009500'],
])('too large, from the first bytes: %s', (_, bytes, expected) => {
  expect(outcome(bytes)).toBe(expected);
});

test.each<[string, Buffer, string]>([
  ['MQTT 3', Buffer.of(0x10, 20, ...V4.slice(0, -1), 3), '20020001'],
  ['MQTT 0', Buffer.of(0x10, 20, ...V4.slice(0, -1), 0), '20020001'],
  ['MQTT 6', Buffer.of(0x10, 20, ...V4.slice(0, -1), 6), '2003008400'],
  ['MQTT 255', Buffer.of(0x10, 20, ...V4.slice(0, -1), 255), '2003008400'],
  ['MQIsdp 4', Buffer.of(0x10, 20, ...V3.slice(0, -1), 4), '20020001'],
])('an unknown protocol level is refused as soon as it is seen [MQTT-3.1.2-2]: %s', (_, bytes, reply) => {
  expect(outcome(bytes)).toBe(`protocol-version ${reply}`);
});

test.each<[string, Buffer]>([
  ['3.1.1 without clean session [MQTT-3.1.3-8]', v4(0, [0, 0])],
  ['3.1 (clause 3.1: 1 to 23 characters)', packet(V3, [2], KEEP_ALIVE, [0, 0])],
])('an empty client id is for the broker to judge: %s', (_, bytes) => {
  expect(outcome(bytes)).toBe('connect');
});

test.each<[string, Buffer]>([
  ['an empty packet', Buffer.of(0x10, 0)],
  ['ends inside the protocol name', packet([0, 4, 0x4d])],
  ['ends before the connect flags', packet(V4)],
  ['ends before the keep-alive', packet(V4, [2, 0])],
  ['no client id [MQTT-3.1.3-3]', v4(2)],
  ['client id longer than the packet (1.5.3)', v4(2, [0, 3, 0x69, 0x64])],
  ['no will topic [MQTT-3.1.2-9]', v4(6, ID)],
  ['no will payload [MQTT-3.1.2-9]', v4(6, ID, WORD)],
  ['no user name [MQTT-3.1.2-19]', v4(0x82, ID)],
  ['no password [MQTT-3.1.2-21]', v4(0xc2, ID, WORD)],
  ['password longer than the packet (3.1.3.5)', v4(0xc2, ID, WORD, [0, 2, 0x77])],
])('3.1 and 3.1.1 that cannot be taken apart: closed without CONNACK [MQTT-3.1.4-1]: %s', (_, bytes) => {
  expect(outcome(bytes)).toBe('malformed');
});

test.each<[string, Buffer]>([
  ['ends before the properties (3.1.2.11.1)', v5(2)],
  ['property length beyond the packet (2.2.2.1)', v5(2, [9], ID)],
  ['property length over four bytes (1.5.5)', v5(2, [0x80, 0x80, 0x80, 0x80, 0], ID)],
  ['no client id [MQTT-3.1.3-3]', v5(2, NO_PROPERTIES)],
  ['will without properties (3.1.3.2)', v5(6, NO_PROPERTIES, ID)],
  ['will properties beyond the packet (3.1.3.2)', v5(6, NO_PROPERTIES, ID, [9], WORD, WORD)],
  ['no user name (3.1.3.5)', v5(0x82, NO_PROPERTIES, ID)],
])('5.0 that cannot be taken apart: CONNACK 0x81: %s', (_, bytes) => {
  expect(outcome(bytes)).toBe('malformed 2003008100');
});

test.each<[string, Buffer]>([
  ['reserved connect flag [MQTT-3.1.2-3]', v4(3, ID)],
  ['will QoS without a will [MQTT-3.1.2-13]', v4(0x0a, ID)],
  ['will QoS 3 [MQTT-3.1.2-14]', v4(0x1e, ID, WORD, WORD)],
  ['will retain without a will [MQTT-3.1.2-15]', v4(0x22, ID)],
  ['password without user name [MQTT-3.1.2-22]', v4(0x42, ID, WORD)],
  ['client id not UTF-8 [MQTT-3.1.3-4]', v4(2, [0, 1, 0xff])],
  ['client id with a surrogate [MQTT-1.5.3-1]', v4(2, [0, 3, 0xed, 0xa0, 0x80])],
  ['client id with U+0000 [MQTT-1.5.3-2]', v4(2, [0, 2, 0x69, 0])],
  ['will topic not UTF-8 [MQTT-3.1.3-10]', v4(6, ID, [0, 1, 0x80], WORD)],
  ['user name not UTF-8 [MQTT-3.1.3-11]', v4(0x82, ID, [0, 1, 0xc3])],
  ['bytes behind the payload (3.1.3)', v4(2, ID, [0])],
  ['user name without its flag [MQTT-3.1.2-18]', v4(2, ID, WORD)],
  ['3.1: bytes behind the payload', packet(V3, [2], KEEP_ALIVE, ID, [0])],
  [
    '5.0: remaining length not in the fewest bytes [MQTT-1.5.5-1]',
    Buffer.from([0x10, 0x8f, 0, ...V5, 2, ...KEEP_ALIVE, 0, ...ID]),
  ],
  ['5.0: reserved connect flag [MQTT-3.1.2-3]', v5(3, NO_PROPERTIES, ID)],
  ['5.0: property length not in the fewest bytes [MQTT-1.5.5-1]', v5(2, [0x80, 0], ID)],
  ['unknown property (2.2.2.2)', withProperties(0x7f, 0)],
  ['property of another packet (2.2.2.2)', withProperties(0x23, 0, 1)],
  ['connect property inside the will (2.2.2.2)', withWillProperties(0x21, 0, 1)],
  ['integer that is cut off (2.2.2.2)', withProperties(0x11, 0, 0, 0)],
  ['string that is not UTF-8 [MQTT-1.5.4-1]', withProperties(0x15, 0, 1, 0xff)],
  ['session expiry interval twice (3.1.2.11.2)', withProperties(0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1)],
  ['receive maximum 0 (3.1.2.11.3)', withProperties(0x21, 0, 0)],
  ['maximum packet size 0 (3.1.2.11.4)', withProperties(0x27, 0, 0, 0, 0)],
  ['request problem information 2 (3.1.2.11.7)', withProperties(0x17, 2)],
  ['authentication data without a method (3.1.2.11.10)', withProperties(0x16, ...WORD)],
])('what the standard does not allow is for the broker to judge: %s', (_, bytes) => {
  expect(outcome(bytes)).toBe('connect');
});

test('what is understood of such a CONNECT holds', () => {
  const read = (bytes: Buffer) => {
    const result = decodeConnect(bytes, 0, bytes.length, MAX);
    return result.kind === 'connect' ? result.connect : result;
  };
  expect(read(v4(0x82, [0, 2, 0xe4, 0xff], [0, 3, 0x61, 0, 0x62]))).toMatchObject({
    clientId: 'äÿ',
    username: 'a\0b',
  });
  expect(read(withProperties(0x21, 0, 0, 0x22, 0, 7, 0x7f, 0x11, 0, 0, 0, 1))).toMatchObject({
    properties: { receiveMaximum: 65_535, topicAliasMaximum: 7, sessionExpiryInterval: 0 },
  });
});

test('user properties may come twice [MQTT-3.1.2-29]', () => {
  expect(outcome(withProperties(0x26, ...WORD, ...WORD, 0x26, ...WORD, ...WORD))).toBe('connect');
});

test('details name no more of what was sent than single bytes', () => {
  const secret = Buffer.from('secret');
  const bytes = v4(0xc2, ID, [0, 6, ...secret], [0, 7, ...secret]);
  expect(decodeConnect(bytes, 0, bytes.length, MAX)).toMatchObject({
    detail: expect.not.stringContaining('secret'),
  });
});
