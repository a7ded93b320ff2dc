import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { connectDevice, openSocket } from '../support/devices.ts';
import { bytesOf, digest, endOf, payload } from '../support/fake-node.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { patience, until } from '../support/wait.ts';

// What a device hears from its broker it hears through the proxy, byte for byte: also where it breaks the standard, and the
// broker has to say so. The differences that are meant are named here, and in decision 13.

type Version = 3 | 4 | 5;
type Way = 'direct' | 'session' | 'relay';

const ports = {} as Record<Way, number>;

beforeAll(async () => {
  const broker = await startMosquitto({ config: 'max_topic_alias 5' });
  const proxy = await startBreakwater({
    listeners: [
      { url: 'mqtt://127.0.0.1:0', mode: 'session' },
      { url: 'mqtt://127.0.0.1:0', mode: 'relay' },
    ],
    // Which end of a link is the broker's word is another question.
    pools: { default: { nodes: [{ id: 'a', url: broker.url }], upstream: { lostLink: 'pass' } } },
    limits: { holdBack: { after: 0 } },
  });
  [ports.session = 0, ports.relay = 0] = proxy.ports;
  ports.direct = broker.port;
});

function packet(header: number, body: string): string {
  const length = body.length / 2;
  const size = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  return Buffer.from([header, ...size]).toString('hex') + body;
}

function field(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length.toString(16).padStart(4, '0') + bytes.toString('hex');
}

interface ConnectOptions {
  readonly header?: number;
  readonly flags?: string;
  readonly properties?: string;
}

function connect(version: Version, clientId: string, options: ConnectOptions = {}): string {
  const { header = 0x10, flags = '02', properties = '00' } = options;
  const name = field(version === 3 ? 'MQIsdp' : 'MQTT');
  return packet(header, `${name}0${version}${flags}003c${version === 5 ? properties : ''}${field(clientId)}`);
}

/** What a device says; each part when all before has been answered. */
type Parts = readonly string[];

/** A play that stands still for so long is told by its name, instead of a test that takes too long. */
const SILENT_MS = 20_000;

/** All that comes until the connection ends, or a SUBSCRIBE of ours behind the last part is answered. */
function play(port: number, version: Version, parts: Parts): Promise<string> {
  const none = version === 5 ? '00' : '';
  const socket = openSocket(port);
  let heard = '';
  let said = 0;
  return new Promise((resolve) => {
    const silent = setTimeout(() => ends('silent'), patience(SILENT_MS));
    const ends = (how: string) => {
      clearTimeout(silent);
      socket.destroy();
      resolve(`${heard} ${how}`);
    };
    const say = () => {
      const part = parts[said++];
      if (part === undefined) return ends('open');
      socket.write(Buffer.from(part + packet(0x82, `ff0${said}${none}${field('last')}00`), 'hex'));
    };
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('hex');
      if (heard.endsWith(packet(0x90, `ff0${said}${none}00`))) say();
    });
    socket.once('end', () => ends('closed'));
    socket.once('error', () => ends('closed'));
    say();
  });
}

/** Plays all of them by each way, a few at a time, each with a client id of its own. */
async function playAll(
  version: Version,
  sequences: Readonly<Record<string, (clientId: string) => Parts>>,
): Promise<Record<Way, Record<string, string>>> {
  const results = { direct: {}, session: {}, relay: {} } as Record<Way, Record<string, string>>;
  for (const way of ['direct', 'session', 'relay'] as const) {
    const left = Object.entries(sequences);
    const worker = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        results[way][next[0]] = await play(ports[way], version, next[1](`device-${left.length}`));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  }
  return results;
}

/** Those that differ from direct; the first few of them. */
function differences(
  results: Record<Way, Record<string, string>>,
  way: Way,
): Record<string, [string, string]> {
  const found: Record<string, [string, string]> = {};
  for (const [name, direct] of Object.entries(results.direct)) {
    const heard = results[way][name] ?? '';
    if (heard !== direct && Object.keys(found).length < 10) found[name] = [direct, heard];
  }
  return found;
}

/** One good packet of each type; the id is 1. */
function good(version: 4 | 5): Record<string, [number, string]> {
  const none = version === 5 ? '00' : '';
  return {
    'packet type 0': [0x00, ''],
    CONNECT: [0x10, connect(version, 'again').slice(4)],
    CONNACK: [0x20, `0000${none}`],
    'PUBLISH QoS 0': [0x30, `${field('t/0')}${none}78`],
    'PUBLISH QoS 1': [0x32, `${field('t/1')}0001${none}78`],
    'PUBLISH QoS 2': [0x34, `${field('t/2')}0001${none}78`],
    PUBACK: [0x40, '0001'],
    PUBREC: [0x50, '0001'],
    PUBREL: [0x62, '0001'],
    PUBCOMP: [0x70, '0001'],
    SUBSCRIBE: [0x82, `0001${none}${field('s/1')}01`],
    SUBACK: [0x90, `0001${none}01`],
    UNSUBSCRIBE: [0xa2, `0001${none}${field('s/1')}`],
    UNSUBACK: [0xb0, `0001${version === 5 ? '0000' : ''}`],
    PINGREQ: [0xc0, ''],
    PINGRESP: [0xd0, ''],
    DISCONNECT: [0xe0, ''],
    AUTH: [0xf0, version === 5 ? '1800' : ''],
  };
}

/** What may be wrong with a packet: its flags, its length, its packet id, a byte that is in the way. */
function variants(name: string, header: number, body: string): Record<string, string> {
  const found: Record<string, string> = { [name]: packet(header, body) };
  for (const bit of [1, 2, 4, 8]) found[`${name}, flag ${bit} turned`] = packet(header ^ bit, body);
  for (let length = 0; length < Math.min(body.length, 40); length += 2)
    found[`${name}, cut to ${length / 2} bytes`] = packet(header, body.slice(0, length));
  for (const more of ['00', '92', '9200', '801f000161', '000226'])
    found[`${name} and ${more}`] = packet(header, body + more);
  found[`${name}, id 0`] = packet(header, body.replace('0001', '0000'));
  found[`${name} with a NUL`] = packet(header, body.replace('2f', '00'));
  found[`${name} with a wildcard`] = packet(header, body.replace('2f', '23'));
  return found;
}

describe.each([4, 5] as const)('behind an accepted CONNECT of level %i', (version) => {
  test.each([
    ['in one segment', (first: string, then: string) => [first + then]],
    ['once it is served', (first: string, then: string) => [first, then]],
  ] as const)('every packet, good or broken, has the answer of the broker: %s', async (_when, parts) => {
    const sequences: Record<string, (clientId: string) => Parts> = {};
    for (const [name, [header, body]] of Object.entries(good(version)))
      for (const [variant, bytes] of Object.entries(variants(name, header, body)))
        sequences[variant] = (clientId) => parts(connect(version, clientId), bytes);
    const results = await playAll(version, sequences);
    expect(Object.keys(results.direct).length).toBeGreaterThan(300);
    expect(differences(results, 'session')).toEqual({});
    expect(differences(results, 'relay')).toEqual({});
  });

  test('exchanges in flight, and acknowledgements that are not theirs', async () => {
    const none = version === 5 ? '00' : '';
    const acks = [
      '40020001',
      '50020001',
      '62020001',
      '70020001',
      '40020002',
      '50020007',
      '4003000100',
      '500400019200',
    ];
    const sequences: Record<string, (clientId: string) => Parts> = {};
    for (const qos of [0, 1, 2])
      for (const first of acks)
        for (const second of acks)
          sequences[`QoS ${qos}, ${first}, ${second}`] = (clientId) => {
            const topic = field(`own/${clientId}`);
            const message = packet(0x30 | (qos << 1), `${topic}${qos === 0 ? '' : '0009'}${none}78`);
            const subscribe = packet(0x82, `0003${none}${topic}0${qos}`);
            return [
              connect(version, clientId) + subscribe,
              message + (qos === 2 ? '62020009' : ''),
              first,
              second,
            ];
          };
    const results = await playAll(version, sequences);
    expect(differences(results, 'session')).toEqual({});
  });
});

describe('a device that says its last', () => {
  /** What it hears, and what its broker published of it, in order. */
  async function leave(way: Way, said: string, withFin: boolean): Promise<[string, string[]]> {
    const { socket: watcher } = await connectDevice(ports.direct, `watcher-${way}`);
    const published: string[] = [];
    watcher.on('data', (bytes: Buffer) => {
      for (const [payload] of bytes.toString('latin1').matchAll(/message|gone/g)) published.push(payload);
    });
    watcher.write(Buffer.from(packet(0x82, `0001${field(`last/${way}/#`)}00`), 'hex'));
    await once(watcher, 'data');
    const socket = connectSocket({ port: ports[way], host: '127.0.0.1', allowHalfOpen: true });
    const heard: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => heard.push(bytes));
    socket.write(Buffer.from(said, 'hex'));
    if (withFin) socket.end();
    await once(socket, 'end');
    socket.destroy();
    await until(() => published.length === (said.endsWith('e000') ? 1 : 2), 'what the broker publishes');
    watcher.destroy();
    return [Buffer.concat(heard).toString('hex'), published];
  }

  const willed = (way: Way) =>
    packet(
      0x10,
      `${field('MQTT')}0406003c${field(`last-${way}`)}${field(`last/${way}/will`)}${field('gone')}`,
    );
  const message = (way: Way, qos: number) =>
    packet(
      0x30 | (qos << 1),
      `${field(`last/${way}/said`)}${qos > 0 ? '0007' : ''}${Buffer.from('message').toString('hex')}`,
    );

  test.each([
    [
      'CONNECT, a message and FIN in one segment: it comes before the Will',
      0,
      '',
      true,
      '20020000',
      ['message', 'gone'],
    ],
    ['the same with QoS 1: it is still told', 1, '', true, '2002000040020007', ['message', 'gone']],
    ['CONNECT, QoS 1 and DISCONNECT in one segment', 1, 'e000', false, '2002000040020007', ['message']],
  ] as const)('%s', async (_what, qos, last, withFin, hears, publishes) => {
    for (const way of ['direct', 'relay', 'session'] as const)
      expect([way, ...(await leave(way, willed(way) + message(way, qos) + last, withFin))]).toEqual([
        way,
        hears,
        publishes,
      ]);
  });
});

describe.each([4, 5] as const)('messages larger than `limits.maxPacketSize`, level %i', (version) => {
  const none = version === 5 ? '00' : '';
  const large = 3_000_000;

  /** A PUBLISH with a payload of so many bytes, none of them alike its neighbours. */
  function largePublish(topic: string, qos: number): Buffer {
    const head = Buffer.from(`${field(topic)}${qos > 0 ? '0005' : ''}${none}`, 'hex');
    const size = head.length + large;
    const header = Buffer.of(
      0x30 | (qos << 1),
      (size & 127) | 128,
      ((size >> 7) & 127) | 128,
      ((size >> 14) & 127) | 128,
      size >> 21,
    );
    return Buffer.concat([header, head, payload(large).bytes]);
  }

  test.each([
    'session',
    'relay',
  ] as const)('reach the broker, and a session that was away (%s)', async (way) => {
    const topic = `large/${version}/${way}`;
    const away = () => {
      const socket = openSocket(ports[way]);
      const expiry = version === 5 ? '051100000e10' : '';
      socket.write(
        Buffer.from(connect(version, `away-${version}-${way}`, { flags: '00', properties: expiry }), 'hex'),
      );
      return socket;
    };
    const first = away();
    first.write(Buffer.from(packet(0x82, `0001${none}${field(topic)}01`), 'hex'));
    await bytesOf(first, version === 5 ? 11 + 6 : 4 + 5);
    first.end(Buffer.from('e000', 'hex'));
    await endOf(first);

    const sender = openSocket(ports[way]);
    sender.write(Buffer.from(connect(version, `sender-${version}-${way}`), 'hex'));
    await bytesOf(sender, version === 5 ? 11 : 4);
    const sent = largePublish(topic, 1);
    sender.write(sent);
    expect((await bytesOf(sender, 4)).toString('hex')).toBe('40020005');

    const second = away();
    const connack = version === 5 ? 11 : 4;
    const got = await bytesOf(second, connack + sent.length);
    expect(digest(got.subarray(-large))).toBe(digest(sent.subarray(-large)));
    second.write(Buffer.from('40020001', 'hex'));
    sender.destroy();
    second.destroy();
  });
});
test('CONNECT', async () => {
  const v = (level: string, rest: string, name = 'MQTT') => packet(0x10, field(name) + level + rest);
  const id = (clientId: string) => field(clientId);
  const sequences: Record<string, (clientId: string) => Parts> = {
    '3.1': (c) => [connect(3, c)],
    ...Object.fromEntries(
      [0x11, 0x12, 0x14, 0x18, 0x1f].map((header) => [
        `3.1, header ${header.toString(16)}`,
        (c: string) => [connect(3, c, { header })],
      ]),
    ),
    '3.1 without a client id': () => [connect(3, '')],
    '3.1.1': (c) => [connect(4, c)],
    '3.1.1, header 11': (c) => [connect(4, c, { header: 0x11 })],
    '3.1.1 without a client id': () => [connect(4, '')],
    '3.1.1 without a client id, for a session that stays': () => [connect(4, '', { flags: '00' })],
    '3.1.1, reserved flag': (c) => [connect(4, c, { flags: '03' })],
    '3.1.1, Will of QoS 3': (c) => [v('04', `1e003c${id(c)}${field('w')}${field('x')}`)],
    '3.1.1, Will QoS without a Will': (c) => [v('04', `0a003c${id(c)}`)],
    '3.1.1, password without user': (c) => [v('04', `42003c${id(c)}${field('x')}`)],
    '3.1.1, user that is not there': (c) => [v('04', `82003c${id(c)}`)],
    '3.1.1, client id that is not UTF-8': () => [v('04', '02003c0001ff')],
    '3.1.1, NUL in the client id': () => [v('04', '02003c0003610062')],
    '3.1.1, Will topic with a wildcard': (c) => [v('04', `06003c${id(c)}${field('a/#')}${field('x')}`)],
    '3.1.1, a byte too many': (c) => [v('04', `02003c${id(c)}00`)],
    'level 2': (c) => [v('02', `02003c${id(c)}`)],
    'level 6': (c) => [v('06', `02003c00${id(c)}`)],
    'another protocol': (c) => [v('04', `02003c${id(c)}`, 'MQTX')],
    'a bridge': (c) => [v('84', `02003c${id(c)}`)],
    'no CONNECT': () => ['300300017478'],
    '5.0': (c) => [connect(5, c)],
    '5.0, topic alias maximum': (c) => [connect(5, c, { properties: '03220007' })],
    '5.0, maximum packet size of 2': (c) => [connect(5, c, { properties: '052700000002' })],
    '5.0, receive maximum of 0': (c) => [connect(5, c, { properties: '03210000' })],
    '5.0, a property twice': (c) => [connect(5, c, { properties: '06210001210001' })],
    '5.0, a property of PUBLISH': (c) => [connect(5, c, { properties: '03230001' })],
    '5.0, an unknown property': (c) => [connect(5, c, { properties: '027f00' })],
    '5.0, an authentication that the broker does not know': (c) => [
      connect(5, c, { properties: '0415000178' }),
    ],
    '5.0, authentication data alone': (c) => [connect(5, c, { properties: '0416000178' })],
    '5.0, reserved flag': (c) => [connect(5, c, { flags: '03' })],
    '5.0, user that is not there': (c) => [v('05', `82003c00${id(c)}${id('')}`)],
    '5.0, a property that is cut off, and the client id with it': () => [v('05', '02003c0a2401000170')],
    '5.0, no client id': () => [v('05', '02003c00')],
  };
  const results = await playAll(4, sequences);
  // What is meant to differ, each with its reason (decision 13): the broker's answer, and ours.
  const meant = {
    'level 6': ['20020001 closed', '2003008400 closed'],
    '5.0, a property that is cut off, and the client id with it': [' closed', '2003008100 closed'],
    '5.0, no client id': [' closed', '2003008100 closed'],
  };
  expect(differences(results, 'session')).toEqual(meant);
  expect(differences(results, 'relay')).toEqual(meant);
});
