import { z } from 'zod';
import type {
  CertificateView,
  CrlView,
  LostProxyView,
  ProxyView,
  StatusView,
  StoreView,
} from './status-views.ts';

/** How a proxy and its cluster stand, as schemas. */

const timestamp = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);

export const proxyView = z.object({
  id: z.string(),
  version: z.string(),
  host: z.string(),
  pid: z.int(),
  engine: z.string(),
  engineReason: z.string().optional().meta({
    description: 'Why `proxy.engine: auto` has taken no faster one.',
    example: 'not uring: io_uring_setup: EPERM: sysctl kernel.io_uring_disabled is 2',
  }),
  threads: count,
  listeners: z.array(z.string()).readonly(),
  connections: count,
  startedAt: timestamp,
  state: z.enum(['starting', 'enabled', 'draining', 'stopping']).meta({
    description: 'Only `enabled` ones take devices. `draining`: somebody has taken it out.',
  }),
  generation: count
    .optional()
    .meta({ description: 'Which of its processes: 1, and one more with each upgrade.' }),
  lastSeen: z.number().meta({ description: 'Seconds since its last heartbeat.' }),
}) satisfies z.ZodType<ProxyView>;

const crlView = z.object({
  listener: z.string(),
  issuer: z.string().meta({ example: 'O=Example, CN=Devices' }),
  nextUpdate: timestamp.optional(),
  state: z.enum(['valid', 'expired', 'tolerated']).meta({
    description:
      '`expired`: no device with a certificate is let in. `tolerated`: it has expired, and counts as it is.',
  }),
}) satisfies z.ZodType<CrlView>;

const certificateView = z.object({
  listener: z.string(),
  subject: z.string().meta({ example: 'CN=mqtt.example.org' }),
  notAfter: timestamp.meta({ description: 'Of its chain, the earliest.' }),
}) satisfies z.ZodType<CertificateView>;

const lostProxyView = z.object({
  id: z.string(),
  since: timestamp,
  connections: count,
}) satisfies z.ZodType<LostProxyView>;

const storeView = z.object({
  kind: z.enum(['memory', 'redis']),
  up: z.boolean(),
  cause: z.string().optional().meta({ description: 'While it is away: what Redis or the network said.' }),
  since: timestamp.optional(),
}) satisfies z.ZodType<StoreView>;

export const statusView = z.object({
  cluster: z.string(),
  proxy: proxyView,
  store: storeView,
  lostProxies: z.array(lostProxyView).readonly().meta({
    description:
      'Proxies that vanished in the last quarter of an hour without taking their leave, and are not back.',
  }),
  nodes: z.object({ total: count, healthy: count, enabled: count }).readonly(),
  connections: count,
  connectionsTotal: count,
  rejectedTotal: count,
  crls: z.array(crlView).readonly().meta({ description: 'Revocation lists of TLS listeners.' }),
  certificates: z.array(certificateView).readonly().meta({ description: 'What TLS listeners show.' }),
  descriptorShortage: z
    .object({ limit: count, needed: count, maxConnections: count })
    .readonly()
    .optional()
    .meta({
      description:
        'The process may open fewer files than `limits.maxConnections` takes: so many devices are taken.',
    }),
  logLoss: z
    .object({ lines: count, reason: z.string().meta({ example: 'ENOSPC' }) })
    .readonly()
    .optional()
    .meta({ description: 'While the log is not taken, as on a full disk: lines that are lost.' }),
  silentThreads: z
    .array(count)
    .readonly()
    .meta({ description: 'Data threads that have not answered for a second, by number.' }),
  failingThreads: z
    .array(count)
    .readonly()
    .meta({ description: 'Data threads that die again and again, by number.' }),
  ready: z.boolean().meta({
    description:
      'Devices are accepted, every data thread answers and lives, and there is a node to send them to.',
  }),
}) satisfies z.ZodType<StatusView>;
