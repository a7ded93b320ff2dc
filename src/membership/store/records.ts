import { z } from 'zod';
import { MAX_CONNECTIONS_MAX, WEIGHT_MAX, WEIGHT_MIN } from '../../nodes/node.ts';
import { BAN_REASON_MAX, BAN_VALUE_MAX, type Ban, banId, banKinds } from '../../policy/admission/bans.ts';
import { SUBSCRIPTIONS_MAX } from '../../session/index.ts';
import type { BeatingNode, Decision, ProxyBeat, StoredSession } from './store.ts';

/**
 * What proxies write for each other, as schemas. Whoever can write to the store can write anything there: what does not
 * fit its schema is not read. Fields that are not known here are passed over, so that a newer version may add some.
 */

/** The largest id that is taken; our own are shorter. */
const ID_MAX = 256;
const URL_MAX = 4096;
const LISTENERS_MAX = 256;
/** More than a routing table holds. */
const NODES_MAX = 4096;
/** A client id has at most 65,535 bytes [MQTT-1.5.4]. */
const CLIENT_ID_MAX = 65_535;
const SHARED_MAX = 16_384;

const nodeId = z.string().regex(/^[A-Za-z0-9._:@-]{1,64}$/);
const id = z.string().min(1).max(ID_MAX);
const count = z.int().min(0);
const weight = z.int().min(WEIGHT_MIN).max(WEIGHT_MAX);
const connections = count.max(MAX_CONNECTIONS_MAX);
/** Versions and epochs are microseconds of Redis's clock; Lua writes them as text. */
const stamp = z.union([
  count,
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(count),
]);

export const countsByNode = z
  .array(z.tuple([nodeId, connections]).readonly())
  .max(NODES_MAX)
  .readonly();

const node = z.object({
  id: nodeId,
  pool: z.string().min(1).max(ID_MAX),
  url: z.string().min(1).max(URL_MAX),
  weight,
  maxConnections: connections.optional(),
  probeUrl: z.string().min(1).max(URL_MAX).optional(),
  source: z.enum(['config', 'flag', 'api', 'dns', 'emqx', 'self']),
  leaving: z.boolean().optional(),
}) satisfies z.ZodType<BeatingNode>;

const decision = z.object({
  state: z.enum(['enabled', 'draining', 'disabled']).optional(),
  weight: weight.optional(),
  maxConnections: connections.optional(),
  removed: z.boolean().optional(),
}) satisfies z.ZodType<Decision>;

const ban = z
  .object({
    id,
    kind: z.enum(banKinds),
    value: z.string().min(1).max(BAN_VALUE_MAX),
    reason: z.string().max(BAN_REASON_MAX).optional(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().optional(),
    kick: z.boolean(),
  })
  .refine(
    isOfItsCriterion,
    'it is of another criterion than its id, or its source is no network',
  ) satisfies z.ZodType<Ban>;

function isOfItsCriterion({ id, kind, value }: Ban): boolean {
  try {
    return banId(kind, value) === id;
  } catch {
    return false;
  }
}

const proxy = z.object({
  id,
  version: z.string().max(ID_MAX),
  host: z.string().max(ID_MAX),
  pid: count,
  engine: z.string().max(ID_MAX),
  threads: count.max(MAX_CONNECTIONS_MAX),
  listeners: z.array(z.string().max(URL_MAX)).max(LISTENERS_MAX),
  connections,
  nodeConnections: countsByNode,
  startedAt: z.iso.datetime(),
  state: z.enum(['starting', 'enabled', 'draining', 'stopping']).optional(),
  advertised: z
    .array(z.object({ scheme: z.string().max(16), address: z.string().regex(/^[A-Za-z0-9.:[\]-]{1,120}$/) }))
    .max(LISTENERS_MAX)
    .optional(),
}) satisfies z.ZodType<ProxyBeat>;

/** A 32-bit integer, which Redis writes as text. */
const who = z.union([
  z.int32(),
  z
    .string()
    .regex(/^-?\d{1,10}$/)
    .transform(Number)
    .pipe(z.int32()),
]);

/** A proxy has claimed a device. */
const claim = z.object({
  pool: z.string().min(1).max(ID_MAX),
  clientId: z.string().max(CLIENT_ID_MAX),
  node: nodeId,
  proxy: id,
  who,
  epoch: stamp,
});

/** What is remembered of a device's session; what the base64 holds is for the session to check. */
const session = z.object({
  who,
  subscriptions: z
    .string()
    .max(SUBSCRIPTIONS_MAX)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/),
}) satisfies z.ZodType<StoredSession>;

/** Something that all proxies share under a name. */
const shared = z.object({ value: z.string().min(1).max(SHARED_MAX) });

/** Without a payload it is a refusal: the proxy has no answer, and need not be waited for. */
const message = z.object({ id, from: id, payload: z.unknown().optional() });

export const shapes = {
  ...{ node, decision, ban, proxy, claim, session, shared },
  ...{ question: message, answer: message },
} as const;

export type Kind = keyof typeof shapes;
export type Shape<K extends Kind> = z.output<(typeof shapes)[K]>;

export function isNodeId(text: string): boolean {
  return nodeId.safeParse(text).success;
}
