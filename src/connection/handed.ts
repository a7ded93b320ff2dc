/** A connection as a plain value, which another process goes on with: the formats, and how a value is read. */

import { z } from 'zod';
import { bytes, maybe, uint32 } from '../base/handed-shapes.ts';
import { readHanded } from '../base/read-handed.ts';
import type { ConnectSummary } from '../protocol/mqtt/connect.ts';
import { endReasons } from './connection-host.ts';
import { handedSessionForwarder } from './handed-forwarder.ts';
import { HANDED_VERSION } from './handed-version.ts';
import { webSocketShape } from './websocket/handed.ts';

// Times are ages, or how long something still lasts, in ms: each process has a clock of its own. Nodes and pools go by their
// names, because slots and numbers differ.

const ms = z.number();
const link = z.int().min(0);
const port = z.int().min(0).max(65_535);

const connect: z.ZodType<ConnectSummary> = z.strictObject({
  protocolVersion: z.literal([3, 4, 5]),
  clientId: z.string(),
  cleanStart: z.boolean(),
  keepAlive: z.int().min(0).max(65_535),
  username: maybe(z.string()),
});

/** Of the class `Relay`. */
const relay = z.strictObject({
  kind: z.literal('relay'),
  connect,
  assignedClientId: maybe(z.string()),
  node: z.string(),
  link,
  halfClosed: z.boolean(),
});

const forwarder = z.discriminatedUnion('kind', [relay, handedSessionForwarder]);

/** Of a `Connection` before its node is sought. */
const greeting = z.strictObject({
  phase: z.literal('greeting'),
  held: bytes,
});
const heldBack = z.strictObject({
  phase: z.literal('held-back'),
  held: bytes,
  pool: z.string(),
  connectAgoMs: ms,
  deviceFin: z.boolean(),
  isHolding: z.boolean(),
});

const carried = z.strictObject({
  phase: z.literal('carried'),
  pool: z.string(),
  number: uint32,
  placedAgoMs: ms,
  /** By the machine's monotonic clock, which both processes have. */
  acceptedAtMs: ms,
  who: z.int(),
  rival: maybe(z.strictObject({ acceptedAgoMs: ms, isSame: z.boolean() })),
  forwarder,
});

const mqtt = z.strictObject({
  version: z.literal(HANDED_VERSION),
  kind: z.literal('mqtt'),
  reason: maybe(z.enum(endReasons)),
  state: z.discriminatedUnion('phase', [greeting, heldBack, carried]),
});

/** Of the class `OpaqueConnection`. */
const opaque = z.strictObject({
  version: z.literal(HANDED_VERSION),
  kind: z.literal('opaque'),
  reason: maybe(z.enum(endReasons)),
  state: z.discriminatedUnion('phase', [
    z.strictObject({ phase: z.literal('greeting'), held: bytes }),
    z.strictObject({
      phase: z.literal('spliced'),
      pool: z.string(),
      number: uint32,
      placedAgoMs: ms,
      node: z.string(),
      link,
      halfClosed: z.boolean(),
    }),
  ]),
});

const endpoint = z.strictObject({ address: z.string(), port });

const tls = z.strictObject({
  version: z.enum(['TLSv1.2', 'TLSv1.3']),
  cipher: z.string(),
  serverName: maybe(z.string()),
  alpn: maybe(z.string()),
  clientCertificateCn: maybe(z.string()),
});

/** What an engine knows of a device. What it asked for over HTTP goes with the WebSocket. */
const peer = z.strictObject({
  remoteAddress: z.string(),
  ipv4: maybe(uint32),
  remotePort: port,
  destination: maybe(endpoint),
  serverName: maybe(z.string()),
  tlvs: maybe(z.array(z.strictObject({ type: z.int().min(0).max(255), value: bytes }))),
  tls: maybe(tls),
});

const webSocket = z
  .strictObject({ version: z.literal(HANDED_VERSION), ...webSocketShape, inner: mqtt })
  .refine(({ head, reader }) => (head === undefined) !== (reader === undefined));

const connection = z.discriminatedUnion('kind', [mqtt, opaque, webSocket]);

export type HandedPeer = Readonly<z.output<typeof peer>>;
export type HandedRelay = Readonly<z.output<typeof relay>>;
export type HandedForwarder = Readonly<z.output<typeof forwarder>>;
export type HandedMqtt = Readonly<z.output<typeof mqtt>>;
export type HandedWebSocket = Readonly<z.output<typeof webSocket>>;
export type HandedOpaque = Readonly<z.output<typeof opaque>>;
/** It holds secrets, such as the password in a CONNECT: it is never logged, nor written anywhere. */
export type HandedConnection = Readonly<z.output<typeof connection>>;

/**
 * Reads what another process has described.
 * @throws BreakwaterError HANDOVER_INVALID, where it is of another format
 */
export function readHandedConnection(value: unknown): HandedConnection {
  return readHanded(connection, value, 'a connection');
}

/** The same of what `describePeer` gave. */
export function readHandedPeer(value: unknown): HandedPeer {
  return readHanded(peer, value, 'a peer');
}
