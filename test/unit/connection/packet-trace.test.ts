import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { MAX_WAITING, PacketTrace, type TracedPacket } from '../../../src/connection/packet-trace.ts';
import type { SessionForwarder } from '../../../src/connection/session-forwarder.ts';
import { traceSession } from '../../../src/connection/trace-session.ts';
import { bytesOf } from '../session/packet-text.ts';
import { goOn, served } from './session-scene.ts';

const AT_MS = 1_000;

function traceOf(payloads = false, version: 4 | 5 = 4, now = () => AT_MS): PacketTrace {
  return new PacketTrace({ version, payloads, now });
}

function shown(packets: readonly Packet[], payloads = false, version: 4 | 5 = 4): readonly TracedPacket[] {
  const trace = traceOf(payloads, version);
  const bytes = Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: version })));
  trace.fromDevice(bytes, 0, bytes.length, true);
  return trace.take().packets;
}

const publish = (more: object = {}): Packet => ({
  ...{ cmd: 'publish', topic: 'meters/17', payload: 'warm', qos: 0, dup: false, retain: false },
  ...more,
});

test('a PUBLISH: topic, QoS, packet id, sizes; its payload only where it is asked for', () => {
  const [packet] = shown([publish({ qos: 1, messageId: 7, retain: true })]);
  const facts = {
    type: 'publish',
    topic: 'meters/17',
    qos: 1,
    id: 7,
    dup: false,
    retain: true,
    payloadSize: 4,
  };
  expect(packet).toEqual({ atMs: AT_MS, direction: 'from-device', size: 19, ...facts });
  expect(JSON.stringify(packet)).not.toContain('warm');
  const [open] = shown([publish()], true);
  expect(open?.payload).toBe(Buffer.from('warm').toString('base64'));
});

test('MQTT 5: properties are no payload [MQTT-3.3.2.3]', () => {
  const properties = { messageExpiryInterval: 60, userProperties: { a: 'b' } };
  const [packet] = shown([publish({ qos: 2, messageId: 9, properties })], true, 5);
  expect(packet).toMatchObject({ id: 9, payloadSize: 4, payload: Buffer.from('warm').toString('base64') });
});

test('the others: ids, filters, codes', () => {
  const packets: Packet[] = [
    {
      cmd: 'subscribe',
      messageId: 3,
      subscriptions: [
        { topic: 'a/#', qos: 1 },
        { topic: 'b', qos: 0 },
      ],
    },
    { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['a/#'] },
    { cmd: 'puback', messageId: 5 },
    { cmd: 'pingreq' },
    { cmd: 'connack', returnCode: 5, sessionPresent: false },
    { cmd: 'disconnect' },
  ];
  const seen = shown(packets).map(({ atMs: _, direction: _d, size: _s, ...packet }) => packet);
  expect(JSON.parse(JSON.stringify(seen))).toEqual([
    { type: 'subscribe', id: 3, filters: ['a/#', 'b'] },
    { type: 'unsubscribe', id: 4, filters: ['a/#'] },
    { type: 'puback', id: 5 },
    { type: 'pingreq' },
    { type: 'connack', code: 5 },
    { type: 'disconnect' },
  ]);
});

test('however the bytes are cut, the packets are the same', () => {
  const packets = [
    publish({ payload: 'x'.repeat(3000) }),
    publish({ qos: 1, messageId: 1 }),
    { cmd: 'pingreq' } as const,
  ];
  const bytes = Buffer.concat(packets.map((packet) => generate(packet as Packet)));
  const whole = JSON.stringify(shown(packets as Packet[], true));
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
      const trace = traceOf(true);
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      for (const [i, end] of edges.entries()) trace.fromDevice(bytes, edges[i - 1] ?? 0, end, i === 0);
      expect(JSON.stringify(trace.take().packets)).toBe(whole);
    }),
  );
});

test('bytes of any kind end in nothing worse than silence', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, payloads) => {
      for (const version of [4, 5] as const) {
        const trace = traceOf(payloads, version);
        trace.toDevice(bytes, 0, bytes.length, true);
        const sizes = trace.take().packets.map(({ size }) => size);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(bytes.length);
      }
    }),
  );
});

test('one that begins in the middle of a packet waits for the next', () => {
  const trace = traceOf();
  const bytes = generate(publish());
  trace.fromDevice(bytes, 5, bytes.length, false);
  expect(trace.take().packets).toEqual([]);
  trace.fromDevice(bytes, 0, bytes.length, true);
  expect(trace.take().packets).toHaveLength(1);
});

test('what cannot wait is counted, and said once', () => {
  const trace = traceOf();
  const bytes = generate({ cmd: 'pingreq' });
  for (let i = 0; i < MAX_WAITING + 10; i++) trace.fromDevice(bytes, 0, bytes.length, true);
  const { packets, dropped } = trace.take();
  expect([packets.length, dropped]).toEqual([MAX_WAITING, 10]);
  expect(trace.take()).toEqual({ packets: [], dropped: 0 });
});

test('long topics and payloads are cut, and of many filters the first are shown', () => {
  const [packet] = shown([publish({ topic: 't'.repeat(5000), payload: 'p'.repeat(5000) })], true);
  expect(packet?.topic).toBe(`${'t'.repeat(256)}…`);
  expect(packet?.payload).toBeUndefined();
  const subscriptions = Array.from({ length: 200 }, (_, i) => ({ topic: `filter/${i}`, qos: 0 as const }));
  const [subscribe] = shown([{ cmd: 'subscribe', messageId: 1, subscriptions }]);
  expect(subscribe?.filters).toHaveLength(5);
});

test('a reader that takes nothing for ten seconds has gone', () => {
  let nowMs = 0;
  const trace = traceOf(false, 4, () => nowMs);
  nowMs = 10_000;
  expect(trace.isForsaken).toBe(false);
  nowMs = 10_001;
  expect(trace.isForsaken).toBe(true);
});

test('a session shows its packets both ways, as the device sees them, until the trace is ended; another one shows nothing', () => {
  const scene = served('CONNECT id=dev');
  const other = served('CONNECT id=other');
  const forwarder = scene.connection.session as SessionForwarder;
  const trace = traceOf();
  const end = traceSession(forwarder, trace);
  const seen = () =>
    trace.take().packets.map(({ direction, type, id }) => [direction, type, id].join(' ').trim());
  goOn(
    scene,
    `
    device: PUBLISH q1 #5 t=x
      a gets PUBLISH #5 q1 t=x
    a: PUBACK #5
      device gets PUBACK #5
  `,
  );
  goOn(other, 'device: PINGREQ\n  a gets PINGREQ');
  expect(seen()).toEqual(['from-device publish 5', 'to-device puback 5']);
  end();
  goOn(scene, 'device: PINGREQ\n  a gets PINGREQ');
  expect(seen()).toEqual([]);
});

test('a trace that nobody reads ends by itself', () => {
  const scene = served('CONNECT id=dev');
  const forwarder = scene.connection.session as SessionForwarder;
  let nowMs = 0;
  const trace = traceOf(false, 4, () => nowMs);
  traceSession(forwarder, trace);
  nowMs = 20_000;
  const bytes = bytesOf('PINGREQ', 4);
  scene.connection.deviceData(bytes, 0, bytes.length);
  nowMs = 0; // even if it were read again
  scene.connection.deviceData(bytes, 0, bytes.length);
  expect(trace.take().packets).toEqual([]);
});
