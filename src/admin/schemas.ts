import { z } from 'zod';
import { roles } from '../config/admin.ts';
import type { NamedChanges } from '../config/difference.ts';
import {
  MAX_CONNECTIONS_MAX,
  type NodeCreate,
  type NodePatch,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from '../nodes/node.ts';
import type { Caller } from './access.ts';
import type {
  ClientDetail,
  ClientList,
  ClientQuery,
  ClientView,
  ConfigCheck,
  ConnectionAddress,
  DrainRequest,
  DrainView,
  NodeDetail,
  NodeView,
  PoolView,
  RebalanceRequest,
  RebalanceView,
  ReloadView,
  SessionView,
  TlsView,
  UpgradeView,
} from './backend.ts';
import { banRequest, banView } from './ban-schemas.ts';
import { clientHistory, eventList, incidentList, incidentView } from './journal-schemas.ts';
import {
  movesView,
  proxyDrainRequest,
  proxyDrainView,
  proxyRebalanceRequest,
  proxyRebalanceView,
} from './moves-schemas.ts';
import { proxyView, statusView } from './status-schemas.ts';

/**
 * What the admin API reads and answers with, as schemas: requests are validated by them, and the OpenAPI document
 * is made from them. `satisfies` keeps them equal to the shapes of `backend.ts`.
 */

const nodeId = z
  .string()
  .regex(/^[A-Za-z0-9._:@-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ -')
  .meta({ example: 'emqx-1' });
const weight = z
  .int()
  .min(WEIGHT_MIN)
  .max(WEIGHT_MAX)
  .meta({ description: 'Relative share of connections.' });
const maxConnections = z.int().min(0).max(MAX_CONNECTIONS_MAX).meta({
  description: 'Connections at one time, of all proxies; what is more goes to the next node. 0: no limit.',
});
const state = z.enum(['enabled', 'draining', 'disabled']);
const url = z.string().min(1).max(2048);
const timestamp = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);

const nodeView = z.object({
  id: nodeId,
  pool: z.string(),
  url: z.string().meta({ example: 'mqtt://10.0.0.1:1883' }),
  weight,
  maxConnections: maxConnections.optional(),
  state,
  health: z.enum(['healthy', 'unhealthy', 'unknown']),
  healthCause: z.string().optional().meta({ description: 'Why the health last changed.' }),
  healthSince: timestamp.optional(),
  connections: count.meta({ description: 'Live connections, of all proxies.' }),
  connectsTotal: count.meta({
    description: 'Links that this proxy has opened there, moves included; begins again at 2^32.',
  }),
  messagesTotal: count.meta({
    description: 'Messages of devices in session mode that this proxy has passed on, in both directions.',
  }),
  source: z.enum(['config', 'flag', 'api', 'dns', 'emqx', 'self']),
}) satisfies z.ZodType<NodeView>;

const nodeDetail = nodeView.extend({
  probeUrl: z.string().optional(),
  address: z
    .string()
    .optional()
    .meta({ description: 'What is dialled, host:port; absent while unresolved.' }),
  probes: z
    .array(
      z.object({
        at: timestamp,
        seconds: z.number(),
        failure: z.string().optional().meta({ example: 'ECONNREFUSED' }),
      }),
    )
    .readonly()
    .meta({ description: 'The last probes by this proxy, oldest first.' }),
}) satisfies z.ZodType<NodeView & Partial<NodeDetail>>;

const nodeCreate = z.strictObject({
  url: url.meta({ example: 'mqtt://10.0.0.4:1883' }),
  id: nodeId.optional(),
  pool: z.string().min(1).max(64).optional(),
  weight: weight.optional(),
  maxConnections: maxConnections.optional(),
  probeUrl: url.optional(),
}) satisfies z.ZodType<NodeCreate>;

const nodePatch = z
  .strictObject({
    weight: weight.optional(),
    maxConnections: maxConnections.optional(),
    state: state.optional(),
  })
  .refine(
    (patch) => Object.values(patch).some((value) => value !== undefined),
    'give weight, maxConnections, state or several',
  )
  .meta({ minProperties: 1 }) satisfies z.ZodType<NodePatch>;

const clientView = z.object({
  clientId: z.string().meta({
    description:
      'Of a device that brought none, the one that its node assigned, or empty. One of more than 256 characters is cut, and ends in … and 32 hex digits of its SHA-256; this form is taken wherever an id is asked for.',
  }),
  connection: count.meta({
    description: 'Number of the connection; no other of its proxy has it.',
    example: 17,
  }),
  node: z.string().meta({
    description: 'While no node has the session: the one that is asked, or that it comes from.',
  }),
  proxy: z.string(),
  listener: z.string(),
  remoteAddress: z.string().meta({ example: '192.0.2.7:51234' }),
  protocolVersion: z.union([z.literal(3), z.literal(4), z.literal(5)]),
  keepAlive: count.meta({ description: 'Seconds; 0 is off.' }),
  mode: z.enum(['relay', 'session']),
  connectedAt: timestamp,
  reattachments: count,
}) satisfies z.ZodType<ClientView>;

const sessionView = z.object({
  subscriptions: count,
  inflightFromDevice: count.meta({ description: 'Packets that the device waits for.' }),
  inflightToDevice: count.meta({ description: 'Messages that the device has not finished with.' }),
  rememberedBytes: count,
  served: z.boolean().meta({ description: 'A node has it; false while another one is sought.' }),
  immovable: z.string().optional().meta({ description: 'Why it cannot be moved now; absent where it can.' }),
  history: z
    .array(
      z.object({
        at: timestamp,
        cause: z.string().meta({ example: 'link-lost' }),
        evidence: z.string().optional().meta({
          example: 'refused',
          description: 'Of `link-lost`: what showed that the node was gone.',
        }),
        from: z.string(),
        to: z.string().optional().meta({ description: 'Absent where no node took the session.' }),
        duration: z.number().meta({ description: 'Seconds.' }),
        sessionPresent: z.boolean().meta({ description: 'The new node had the session already.' }),
      }),
    )
    .readonly()
    .meta({ description: 'The last re-attachments, newest last.' }),
}) satisfies z.ZodType<SessionView>;

const tlsView = z.object({
  version: z.string().meta({ example: 'TLSv1.3' }),
  cipher: z.string().meta({ example: 'TLS_AES_256_GCM_SHA384' }),
  sni: z.string().optional().meta({ description: 'The server name that the device asked for.' }),
  alpn: z.string().optional(),
  clientCn: z.string().optional().meta({ description: 'Common name of its verified certificate.' }),
}) satisfies z.ZodType<TlsView>;

const clientDetail = clientView.extend({
  session: sessionView.optional().meta({ description: 'In session mode.' }),
  tls: tlsView.optional().meta({ description: 'Where the device came by TLS.' }),
}) satisfies z.ZodType<ClientDetail>;

const drainView = movesView.extend({
  node: nodeId,
  stays: count.meta({ description: 'Of those left: they stay until they leave by themselves.' }),
}) satisfies z.ZodType<DrainView>;

const rebalanceView = movesView.extend({
  pools: z.array(z.string()).readonly(),
  tolerance: z.number(),
  spread: z.number().meta({
    description: 'Between the fullest and the emptiest node, in parts of the fair share.',
  }),
}) satisfies z.ZodType<RebalanceView>;

const rate = z.number().min(0.1).max(100_000).meta({ description: 'Sessions a second, over all proxies.' });

const drainRequest = z.strictObject({ rate: rate.optional() }) satisfies z.ZodType<DrainRequest>;

const rebalanceRequest = z.strictObject({
  pool: z.string().min(1).max(64).optional(),
  rate: rate.optional(),
  tolerance: z
    .number()
    .min(0)
    .max(10)
    .optional()
    .meta({ description: 'Part of the fair share by which the fullest and the emptiest node may differ.' }),
}) satisfies z.ZodType<RebalanceRequest>;

const clientMove = z.strictObject({ node: nodeId });

const clientList = z.object({
  clients: z.array(clientView).readonly(),
  total: count.meta({
    description:
      'How many match in all, also beyond the limit, but for the devices of proxies that are missing.',
  }),
  next: z.string().optional().meta({ description: '`after` of the next page; absent: there is none.' }),
  missing: z
    .array(z.string())
    .readonly()
    .meta({ description: 'Proxies that live and did not answer, or not to the end.' }),
}) satisfies z.ZodType<ClientList>;

const poolView = z.object({
  name: z.string(),
  strategy: z.string(),
  persistence: z.string(),
  probe: z.string(),
  nodes: count,
  healthy: count,
  connections: count,
}) satisfies z.ZodType<PoolView>;

const changesView = z.object({
  added: z.array(z.string()).readonly(),
  removed: z.array(z.string()).readonly(),
  changed: z.array(z.string()).readonly(),
}) satisfies z.ZodType<NamedChanges>;

const processView = z.object({ version: z.string(), pid: z.int(), generation: count });
const upgradeView = z.object({
  from: processView,
  to: processView,
  connections: count.meta({ description: 'Connections that go on in the new process.' }),
  left: count.meta({ description: 'Devices that stay with the old process until they leave.' }),
  seconds: z.number(),
}) satisfies z.ZodType<UpgradeView>;

const reloadView = z.object({
  listeners: changesView,
  pools: changesView,
  settings: z
    .array(z.string())
    .readonly()
    .meta({ description: 'Other parts of the configuration that changed, such as `rules`.' }),
  certificates: z
    .array(z.string())
    .readonly()
    .meta({ description: 'Listeners whose TLS files were others before.' }),
}) satisfies z.ZodType<ReloadView>;

const lines = z.array(z.string()).readonly();
const configCheck = z.object({
  valid: z.boolean().meta({ description: 'A reload would go by it.' }),
  problems: lines.meta({ description: 'What is wrong, each with its place.' }),
  warnings: lines.meta({ description: 'What can hardly be meant, and what expires.' }),
  listeners: changesView,
  pools: changesView,
  settings: lines.meta({ description: 'Other parts of the configuration that a reload would change.' }),
}) satisfies z.ZodType<ConfigCheck>;

const failure = z.object({
  code: z.string().meta({ example: 'NODE_UNKNOWN' }),
  message: z.string().meta({ description: 'What is wrong, where, and what helps.' }),
  retryable: z.boolean(),
  fields: z
    .array(z.object({ field: z.string(), message: z.string() }))
    .optional()
    .meta({ description: 'With REQUEST_INVALID: each field that is wrong.' }),
  problems: z
    .array(
      z.object({
        path: z.string(),
        line: z.int().optional(),
        column: z.int().optional(),
        message: z.string(),
        code: z.string().optional(),
      }),
    )
    .readonly()
    .optional()
    .meta({ description: 'With CONFIG_INVALID: everything that is wrong with the file.' }),
});
export type Failure = z.infer<typeof failure>;

const whoami = z.object({
  name: z
    .string()
    .meta({ example: 'night-shift', description: 'Of the token; `local` where there is none.' }),
  role: z.enum(roles).meta({ description: 'Each may do what those before it may.' }),
}) satisfies z.ZodType<Caller>;

const readiness = z.object({ ready: z.boolean(), reason: z.string().optional() });

/** Under these names they stand in the OpenAPI document. */
export const named = {
  Node: nodeView,
  NodeDetail: nodeDetail,
  NodeCreate: nodeCreate,
  NodePatch: nodePatch,
  Client: clientView,
  ClientDetail: clientDetail,
  ClientMove: clientMove,
  ClientList: clientList,
  Ban: banView,
  BanRequest: banRequest,
  Drain: drainView,
  DrainRequest: drainRequest,
  Rebalance: rebalanceView,
  RebalanceRequest: rebalanceRequest,
  Reload: reloadView,
  ConfigCheck: configCheck,
  Upgrade: upgradeView,
  Pool: poolView,
  Proxy: proxyView,
  ProxyDrain: proxyDrainView,
  ProxyDrainRequest: proxyDrainRequest,
  ProxyRebalance: proxyRebalanceView,
  ProxyRebalanceRequest: proxyRebalanceRequest,
  Status: statusView,
  Whoami: whoami,
  EventList: eventList,
  Incident: incidentView,
  IncidentList: incidentList,
  ClientHistory: clientHistory,
  Failure: failure,
  Readiness: readiness,
} as const;

export const nodeParams = z.strictObject({ id: nodeId });
export const banParams = z.strictObject({ id: z.string().min(1).max(64) });
export const proxyParams = z.strictObject({ id: z.string().min(1).max(256) });
export const clientParams = z.strictObject({
  clientId: z.string().meta({
    description:
      'Any character, percent-encoded. `#17` is the connection of that number, `#17@edge-1` that of one proxy.',
  }),
});
export const clientQuery = z.strictObject({
  node: z.string().optional(),
  match: z.string().optional().meta({ description: 'Only client ids that contain this.' }),
  after: z
    .string()
    .max(512)
    .transform((text, context) => {
      const address = parseConnection(text);
      if (address === undefined)
        context.addIssue('must be a connection as `next` names it, such as #17@edge-1');
      return address;
    })
    .optional()
    .meta({ description: 'Only those behind this connection: `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
}) satisfies z.ZodType<ClientQuery>;

function parseConnection(text: string): ConnectionAddress | undefined {
  const [, number, proxy = ''] = /^#?(\d{1,10})@(.+)$/.exec(text) ?? [];
  return number === undefined ? undefined : { connection: Number(number), proxy };
}

/** A response without a body. */
export const nothing = (description: string) => z.null().meta({ description });
