/** A session as a plain value, which another process goes on with: its format. What it means is said where the fields are. */

import { z } from 'zod';
import { bytes, maybe, uint32 } from '../base/handed-shapes.ts';
import { INCOMPLETE, MALFORMED, varintEnd, varintValue } from '../protocol/mqtt/varint.ts';
import { owner, stage, step } from './stages.ts';

// Times are what is left, in ms. `Infinity` stands for no limit, as in the session.

const MOST = 0xffff;
const byte = z.int().min(0).max(0xff);
const uint16 = z.int().min(0).max(0xffff);
const count = z.int().min(0);
const limit = count.or(z.literal(Number.POSITIVE_INFINITY));

/** Of the interface `ConnackCapabilities`. */
const capabilities = z.strictObject({
  code: byte,
  sessionPresent: z.boolean(),
  receiveMaximum: uint16,
  maximumQos: byte,
  retainAvailable: z.boolean(),
  maximumPacketSize: limit,
  topicAliasMaximum: uint16,
  wildcardAvailable: z.boolean(),
  identifiersAvailable: z.boolean(),
  sharedAvailable: z.boolean(),
  serverKeepAlive: maybe(uint16),
  sessionExpiryInterval: maybe(uint32),
  assignedClientId: maybe(z.string()),
  serverReference: maybe(z.string()),
});

const aliases = z.array(z.strictObject({ number: uint16, topic: bytes, established: z.boolean() })).max(MOST);

const subscriptions = z.array(
  z.strictObject({ filter: bytes, options: byte, identifier: z.int().min(0).max(268_435_455) }),
);

const freshFilters = z.strictObject({ filters: z.array(bytes), isFull: z.boolean() });

const fromDeviceEntry = z.strictObject({
  id: uint16,
  stage: z.enum(stage),
  isSuspect: z.boolean(),
  packet: bytes,
});

const inflightFromDevice = z
  .strictObject({
    entries: z.array(fromDeviceEntry).max(MOST),
    /** Which of them is the oldest that is still to be sent again; -1: none. */
    unsent: z.int().min(-1),
  })
  .refine(({ entries, unsent }) => unsent < entries.length);

const inflightToDevice = z.strictObject({
  entries: z
    .array(
      z.strictObject({
        nodeId: uint16,
        deviceId: uint16,
        isQos2: z.boolean(),
        hash: uint32,
        step: z.enum(step),
        owner: z.enum(owner),
      }),
    )
    .max(MOST),
  lastFreeId: uint16,
});

/** Of the class `MigrationState`; what a node is asked while the session is rebuilt is not in it. */
const migration = z.strictObject({
  asking: z.boolean(),
  doubtful: z.boolean(),
  isOver: z.boolean(),
  mustPurge: z.boolean(),
  cut: z.boolean(),
  held: maybe(inflightFromDevice),
  isOnTrial: z.boolean(),
  anew: z.boolean(),
  sessionPresent: z.boolean(),
  retainedForMs: z.number().min(0),
  room: z.int().or(z.literal(Number.POSITIVE_INFINITY)),
  resent: maybe(z.set(uint16)),
  fresh: maybe(freshFilters),
  swallowed: maybe(z.set(uint16)),
  drops: z.boolean(),
  nodeAliases: maybe(aliases),
  awaitsRedelivery: z.boolean(),
});

/** Of the class `State`, which is attached to a node, or is detached again behind that. */
const state = z.strictObject({
  isDetached: z.boolean(),
  heldBack: maybe(z.strictObject({ node: maybe(z.array(bytes)), device: maybe(z.array(bytes)) })),
  attachments: count.min(1),
  inherited: z.boolean(),
  unsubscribed: maybe(subscriptions),
  isBeyondRecall: z.boolean(),
  deviceLeft: z.boolean(),
  overflown: z.boolean(),
  notUnderstood: z.boolean(),
  authenticates: z.boolean(),
  advertised: capabilities,
  terms: capabilities,
  pingsOwed: count,
  pingsSent: count,
  pingsOdd: count,
  pingsSpare: count,
  pingsBehind: count,
  pingsWait: z.boolean(),
  inflightFromDevice: maybe(inflightFromDevice),
  inflightToDevice: maybe(inflightToDevice),
  subscriptions: maybe(subscriptions),
  aliases: maybe(aliases),
  offlineBuffer: maybe(bytes),
  migration: maybe(migration),
  isPaused: z.boolean(),
  billedMessages: count,
  billedBytes: count,
});

/** Of the class `Frames`. */
const frames = z.strictObject({
  partial: maybe(bytes.refine(isPart)),
  askAt: limit,
  streaming: z.int().min(-1),
  left: maybe(bytes),
});

export const sessionShape = z.strictObject({
  /** The device's CONNECT, with its password and its Will. */
  raw: bytes,
  /** Under which nodes are asked, where it is not the device's own. */
  clientId: maybe(bytes),
  /** What a device without one is called (rule 15); empty where it has one. */
  chosenId: z.string(),
  deviceFrames: maybe(frames),
  nodeFrames: maybe(frames),
  state,
});

export type HandedAliases = z.output<typeof aliases>;
export type HandedSubscriptions = z.output<typeof subscriptions>;
export type HandedFreshFilters = z.output<typeof freshFilters>;
export type HandedInflightFromDevice = z.output<typeof inflightFromDevice>;
export type HandedInflightToDevice = z.output<typeof inflightToDevice>;
export type HandedMigration = z.output<typeof migration>;
export type HandedState = z.output<typeof state>;
export type HandedFrames = z.output<typeof frames>;
export type HandedSession = z.output<typeof sessionShape>;

/** The size of the packet that begins here; INCOMPLETE or MALFORMED where its header does not say. */
export function sizeOf(packet: Uint8Array): number {
  const bodyAt = varintEnd(packet, 1, packet.length);
  return bodyAt < 0 ? bodyAt : bodyAt + varintValue(packet, 1, bodyAt);
}

/** The first part of a packet. */
function isPart(packet: Uint8Array): boolean {
  const size = sizeOf(packet);
  return packet.length > 0 && size !== MALFORMED && (size === INCOMPLETE || size > packet.length);
}
