import { z } from 'zod';
import type { DeviceOrder } from '../data-plane-api/device-order.ts';
import { totals } from '../data-plane-api/totals.ts';
import type { DeviceEntry } from '../journal/device-history.ts';
import { eventKinds } from '../journal/event.ts';
import { incidentKinds } from '../journal/incident.ts';
import { movesUnderWay } from '../migration/moves-under-way.ts';
import { whomShape } from '../migration/peer-clients.ts';
import { formerIdentity } from './identity.ts';
import { keysState } from './shared-keys.ts';

/** What a process tells the one after it of its control plane. */

const eventTypes = Object.values(eventKinds).flatMap(({ types }) => [...types]);

const nodeId = z.string().min(1).max(64);
const text = z.string().max(10_000);

const nodeHealth = z.object({
  id: nodeId,
  health: z.enum(['healthy', 'unhealthy', 'unknown']),
  streak: z.int().min(0),
  fails: z.boolean(),
  /** Why and when it last changed. */
  flip: z.object({ cause: text, at: z.iso.datetime() }).optional(),
  probes: z.array(z.object({ at: z.number(), seconds: z.number(), failure: text.optional() })).max(1_000),
});

/** What the new process starts with. */
export const controlState = z.object({
  identity: formerIdentity,
  /** What no upgrade can change. */
  fixed: z.record(z.string(), z.unknown()),
  keys: keysState,
  /** By which the store knows the connections that have sessions. */
  sessionsStart: z.string().min(1).max(100),
  moves: movesUnderWay,
  reconnects: z.object({
    seed: z.int().min(0).max(0xffff_ffff),
    levels: z.custom<Float64Array>((value) => value instanceof Float64Array && value.every(Number.isFinite)),
  }),
  /** The number that a connection was given last. */
  lastNumber: z.int().min(0).max(0xffff_ffff),
  nodes: z.array(nodeHealth),
  /** Of the store, which parses that itself. */
  store: z.unknown(),
});
export type ControlState = z.output<typeof controlState>;

const ordered = { whom: whomShape, untilMs: z.number() };

/** What people ordered while connections went over. */
export const handedOrders = z
  .array(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('kick'), ...ordered }),
      z.object({ type: z.literal('move'), to: nodeId, ...ordered }),
    ]) satisfies z.ZodType<DeviceOrder>,
  )
  .max(1_000)
  .readonly();

/** A session of which the store may know something that is out of date. */
const missedSession = z.object({ pool: z.string(), clientId: z.string(), connection: z.int() });

/** What is said last, when the old process has stopped to speak for the proxy. */
const journal = z.object({
  start: z.string().regex(/^[0-9a-z]{1,32}$/),
  number: z.int().min(0),
  entries: z.array(
    z.object({
      event: z
        .object({ type: z.enum(eventTypes), at: text })
        .catchall(z.union([text, z.number(), z.boolean()]).optional()),
      number: z.int().min(0),
      atMs: z.number(),
    }),
  ),
});

const count = z.number().min(0);
const incidents = z.object({
  number: z.int().min(0),
  incidents: z.array(
    z.object({
      number: z.int().min(0),
      kind: z.enum(incidentKinds),
      subject: text,
      ...{ fromMs: z.number(), lastMs: z.number(), lasts: z.boolean() },
      ...{ cause: text.optional(), evidence: text.optional() },
      movesTo: z.array(z.tuple([text, count])),
      ...{ movesFromMs: z.number(), movesToMs: z.number(), failed: count, disconnected: count, count },
    }),
  ),
  unhealthy: z.array(nodeId),
});

const historyEntry = z.object({
  at: text,
  what: z.enum(['connected', 'moved', 'not-moved', 'refused', 'ended']),
  ...{ connection: z.number().optional(), protocolVersion: z.number().optional() },
  ...{
    node: text.optional(),
    from: text.optional(),
    listener: text.optional(),
    remoteAddress: text.optional(),
  },
  ...{ cause: text.optional(), evidence: text.optional(), reason: text.optional() },
  ...{ duration: z.number().optional(), sessionPresent: z.boolean().optional() },
  ...{ bytesFromDevice: z.number().optional(), bytesToDevice: z.number().optional() },
}) satisfies z.ZodType<DeviceEntry>;

export const lastWords = z.object({
  ...{ journal, incidents },
  totals,
  metrics: z.object({
    counters: z.array(z.object({ name: text, labels: z.array(z.array(text).length(2)), value: count })),
    histograms: z.array(
      z.object({
        name: text,
        bounds: z.array(count).max(1_000).readonly(),
        counts: z.array(count).max(1_001).readonly(),
        sum: count,
      }),
    ),
  }),
  history: z.array(z.tuple([text, z.array(historyEntry).max(100)])),
  moves: movesUnderWay,
  orders: handedOrders,
  missedSessions: z.array(missedSession),
  store: z.unknown(),
});
export type LastWords = z.output<typeof lastWords>;
