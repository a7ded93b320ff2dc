import type { Libc, Pinned } from '../../src/engine/epoll/libc.ts';

/** Packets of MQTT 3.1.1, in pinned memory. */
export const CONNACK_BYTES = 4;
export const MESSAGE_BYTES = 100;
const CLIENT_ID_DIGITS = 10;

export interface Packets {
  readonly connack: Pinned;
  /** A QoS 0 PUBLISH of 100 bytes in all. */
  readonly publish: Pinned;
  /** A CONNECT with a client identifier that no other has. The same memory every time. */
  connect(): Pinned;
}

export function createPackets(libc: Libc): Packets {
  const connack = libc.pin(CONNACK_BYTES);
  connack.bytes.set([0x20, 2, 0, 0]);

  const publish = libc.pin(MESSAGE_BYTES);
  const topic = 'bench/topic';
  publish.bytes.fill(0x78).set([0x30, MESSAGE_BYTES - 2, 0, topic.length]);
  publish.bytes.write(topic, 4, 'latin1');

  const prefix = 'bench-';
  const idBytes = prefix.length + CLIENT_ID_DIGITS;
  const connect = libc.pin(14 + idBytes);
  connect.bytes.set([0x10, 12 + idBytes, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, idBytes]);
  connect.bytes.write(prefix, 14, 'latin1');
  let number = process.pid * 10_000;

  return {
    connack,
    publish,
    connect() {
      connect.bytes.write(String(number++).padStart(CLIENT_ID_DIGITS, '0'), 14 + prefix.length, 'latin1');
      return connect;
    },
  };
}
