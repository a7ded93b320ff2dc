import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { findBrokenReferences } from '../../src/config/references.ts';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionHost } from '../../src/connection/connection-host.ts';
import { OpaqueConnection } from '../../src/connection/opaque.ts';
import { WebSocketLayer } from '../../src/connection/websocket/layer.ts';
import type { Peer, Wire, WireEvents } from '../../src/connection/wire.ts';
import { createOutbox } from '../../src/engine/linux/outbox.ts';
import { readHeader } from '../../src/engine/node/header-reader.ts';
import { PendingBytes, type PendingHolder } from '../../src/policy/admission/pending-bytes.ts';
import { createCookiePersistence } from '../../src/policy/cookie-affinity/cookie.ts';
import { endToEnd } from '../../src/protocol/http/hop-by-hop.ts';
import { expectLinear } from '../support/steps.ts';
import { deviceFrame } from '../unit/connection/websocket/frames.ts';
import { headerV2 } from '../unit/protocol/proxy-protocol/headers.ts';
import { body, extension, message, records } from '../unit/protocol/tls-hello/hellos.ts';

/** What comes before a session, or lies around it. Steps are counted, not time. */

const wire = {
  setTimer() {},
  holdDevice() {},
  toDevice() {},
  toNode() {},
  endDevice() {},
  isDeviceBehind: () => false,
} as unknown as Wire;
const peer = { remoteAddress: '127.0.0.1', remotePort: 1 } as unknown as Peer;
const pending = new PendingBytes(1 << 26);
const world = {
  limits: { connectTimeoutMs: 1000, maxPacketBytes: 1 << 20, halfCloseTimeoutMs: 1000 },
  now: () => 0,
  route: () => 'not-authorized',
  ...{ rejected() {}, left() {} },
  pending: (holder: PendingHolder, bytes: number) => pending.set(holder, bytes),
} as unknown as ConnectionHost;

function byteByByte(to: Pick<WireEvents, 'deviceData'>, bytes: Uint8Array): void {
  const copy = Uint8Array.from(bytes);
  for (let at = 0; at < copy.length; at++) to.deviceData(copy, at, at + 1);
}

/** An MQTT 5 CONNECT with so many user properties. */
function connectWith(properties: number): Uint8Array {
  const pair = [0x26, 0, 1, 97, 0, 1, 98];
  const section = Array.from({ length: properties }, () => pair).flat();
  const rest = [0, 4, 77, 81, 84, 84, 5, 2, 0, 60, ...varint(section.length), ...section, 0, 1, 100];
  return Uint8Array.from([0x10, ...varint(rest.length), ...rest]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}

describe('a CONNECT', () => {
  it('with many user properties is read once', () => {
    expectLinear(500, (n) => {
      const bytes = connectWith(n);
      return () => new Connection(wire, peer, world).deviceData(bytes, 0, bytes.length);
    });
  });

  it('that comes byte by byte is not read again for each', () => {
    expectLinear(500, (n) => {
      const bytes = connectWith(n);
      return () => byteByByte(new Connection(wire, peer, world), bytes);
    });
  });
});

it('a PROXY header that comes byte by byte is not read again for each', () => {
  expectLinear(250, (n) => {
    const bytes = headerV2(0x21, 0x11, [...Array(12).fill(1), 4, n >> 8, n & 255, ...Array(n).fill(0)]);
    const socket = Object.assign(new EventEmitter(), { pause() {} }) as unknown as Socket;
    let headers = 0;
    const done = () => headers++;
    readHeader(socket, { expectation: 'read', timeoutMs: 60_000, done, refused() {}, left() {} });
    return () => {
      for (const byte of bytes) socket.emit('data', Buffer.of(byte));
      expect(headers).toBe(1);
    };
  });
});

describe('a ClientHello', () => {
  it.each([
    ['one record', []],
    ['as many records as there may be', Array.from({ length: 63 }, (_, i) => i + 1)],
  ])('in %s that comes byte by byte', (_, cuts) => {
    expectLinear(1000, (n) => {
      const bytes = records(message(body(extension(21, Array(n).fill(0)))), cuts);
      const connection = new OpaqueConnection(wire, peer, world);
      connection.begin(true);
      return () => byteByByte(connection, bytes);
    });
  });
});

describe('WebSocket', () => {
  const request =
    'GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n';
  const device = { deviceData() {}, deviceEnded() {} } as unknown as WireEvents;

  function layer(): WebSocketLayer {
    const made = new WebSocketLayer(wire, peer, { path: '/mqtt' });
    made.carry(device);
    return made;
  }

  it('begins with a request that comes byte by byte', () => {
    expectLinear(1500, (n) => {
      const bytes = Buffer.from(`${request}X-Long: ${'x'.repeat(n)}\r\n\r\n`);
      return () => byteByByte(layer(), bytes);
    });
  });

  it('carries small frames with pings between them', () => {
    expectLinear(1000, (n) => {
      const frames = [deviceFrame(2, Buffer.of(1)), deviceFrame(9, Buffer.of())];
      const bytes = Buffer.concat(Array.from({ length: n }, () => frames).flat());
      const open = layer();
      const head = Buffer.from(`${request}\r\n`);
      open.deviceData(head, 0, head.length);
      return () => open.deviceData(bytes, 0, bytes.length);
    });
  });
});

describe('HTTP', () => {
  it('with a Connection field that names much', () => {
    expectLinear(500, (n) => {
      const named = Array.from({ length: n }, (_, i) => `x${i}`);
      const fields = named.flatMap((name) => [`y${name}`, '1']);
      return () => endToEnd(['Connection', named.join(), ...fields], () => false);
    });
  });

  it.each(['insert', 'rewrite'] as const)('with many cookies of our name (%s)', (mode) => {
    const cookies = createCookiePersistence({
      ...{ mode, name: 'node', maxAgeSeconds: undefined },
      key: Buffer.alloc(64, 7).toString('base64'),
    });
    expectLinear(500, (n) => {
      const cookie = Array.from({ length: n }, (_, i) => `node=${'A'.repeat(30)}${i}`).join('; ');
      return () => cookies.recall(cookie);
    });
  });
});

it('what waits for a socket is kept and sent piece by piece', () => {
  const prepare = (n: number) => {
    const memory = { bytes: Buffer.alloc(4096), address: 0 };
    const outbox = createOutbox(
      4,
      () => memory,
      (_fd, _at, length) => length,
      () => {},
    );
    const piece = Buffer.alloc(4096);
    return () => {
      for (let i = 0; i < n; i++) outbox.push(3, piece, 0, piece.length);
      outbox.flush(3);
    };
  };
  expectLinear(1000, prepare, 5000); // each byte is one
});

it('names in a configuration that do not exist, among many that do', () => {
  const prepare = (n: number) => {
    const names = (letter: string) => Array.from({ length: n }, (_, i) => `${letter}${i}`);
    const listeners = names('mqtt://127.0.0.1:').map((url) => ({ url, pool: 'p0' }));
    const pools = Object.fromEntries(names('p').map((pool) => [pool, {}]));
    const rules = names('q').map((pool, i) => ({ pool, when: { listener: `mqtt://127.0.0.2:${i}` } }));
    return () => expect(findBrokenReferences({ listeners, pools, rules })).toHaveLength(2 * n);
  };
  expectLinear(200, prepare, 50_000); // a hint for each of the first fifty is a look at all names
});
