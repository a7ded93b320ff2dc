import type { Libc, Pinned } from '../../src/engine/linux/libc.ts';

/** Packets of MQTT 3.1.1, in pinned memory. */
export const CONNACK_BYTES = 4;
export const MESSAGE_BYTES = 100;
export const ACK_BYTES = 4;
const TOPIC = 'bench/topic';
/** Where the packet identifier of a QoS 1 PUBLISH lies. */
export const QOS1_ID_AT = 4 + TOPIC.length;
const CLIENT_ID_DIGITS = 10;

export interface Packets {
  readonly connack: Pinned;
  /** A QoS 0 PUBLISH of 100 bytes in all. */
  readonly publish: Pinned;
  /** A QoS 0 PUBLISH whose payload has so many bytes. Memory of its own each time. */
  publishOf(payloadBytes: number): Pinned;
  readonly pingresp: Pinned;
  /** A SUBSCRIBE with two filters, and its answer. */
  readonly subscribe: Pinned;
  readonly suback: Pinned;
  /** A QoS 1 PUBLISH of 100 bytes in all, with this packet identifier. The same memory every time. */
  publishQos1(id: number): Pinned;
  readonly puback: Pinned;
  /** A CONNECT with a client identifier that no other has. The same memory every time. */
  connect(): Pinned;
}

export function createPackets(libc: Libc): Packets {
  const connack = libc.pin(CONNACK_BYTES);
  connack.bytes.set([0x20, 2, 0, 0]);

  const publish = libc.pin(MESSAGE_BYTES);
  publish.bytes.fill(0x78).set([0x30, MESSAGE_BYTES - 2, 0, TOPIC.length]);
  publish.bytes.write(TOPIC, 4, 'latin1');
  const publishQos1 = libc.pin(MESSAGE_BYTES);
  publishQos1.bytes.set(publish.bytes);
  publishQos1.bytes[0] = 0x32;

  const filters = ['bench/down/+', 'bench/all/#'];
  const body = filters.flatMap((filter) => [0, filter.length, ...Buffer.from(filter, 'latin1'), 0]);
  const packet = (...bytes: number[]): Pinned => pinned(libc, bytes);

  const prefix = 'bench-';
  const idBytes = prefix.length + CLIENT_ID_DIGITS;
  const connect = libc.pin(14 + idBytes);
  connect.bytes.set([0x10, 12 + idBytes, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, idBytes]);
  connect.bytes.write(prefix, 14, 'latin1');
  let number = process.pid * 10_000;

  return {
    connack,
    publish,
    publishOf: (payloadBytes) => pinned(libc, largePublish(payloadBytes)),
    pingresp: packet(0xd0, 0),
    subscribe: packet(0x82, body.length + 2, 0, 1, ...body),
    suback: packet(0x90, 4, 0, 1, 0, 0),
    puback: packet(0x40, 2, 0, 1),
    publishQos1(id) {
      publishQos1.bytes.writeUInt16BE(id, QOS1_ID_AT);
      return publishQos1;
    },
    connect() {
      connect.bytes.write(String(number++).padStart(CLIENT_ID_DIGITS, '0'), 14 + prefix.length, 'latin1');
      return connect;
    },
  };
}

function pinned(libc: Libc, bytes: ArrayLike<number>): Pinned {
  const memory = libc.pin(bytes.length);
  memory.bytes.set(bytes);
  return memory;
}

function largePublish(payloadBytes: number): Uint8Array {
  const head = [0x30];
  // The remaining length, seven bits a byte (MQTT 3.1.1, 2.2.3).
  let rest = 2 + TOPIC.length + payloadBytes;
  for (; rest > 127; rest >>= 7) head.push(0x80 | (rest & 127));
  head.push(rest, 0, TOPIC.length);
  return Buffer.concat([Buffer.from(head), Buffer.from(TOPIC), Buffer.alloc(payloadBytes, 'x')]);
}
