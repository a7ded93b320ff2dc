/** Routes of the admin API that show the state of this proxy to people, orchestrators and Prometheus. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend, StatusView } from './backend.ts';
import { named } from './schemas.ts';

const tags = ['status'];

/** How the proxy stands: for people (`status`), orchestrators (`livez`, `readyz`) and Prometheus (`metrics`). */
export function statusRoutes(api: Api, backend: Pick<Backend, 'status' | 'metrics'>): void {
  api.get(
    `${API_PREFIX}/status`,
    { schema: { tags, summary: 'This proxy and its cluster in numbers.', response: { 200: named.Status } } },
    async () => backend.status(),
  );
  api.get(
    '/livez',
    {
      config: { open: true, probe: true },
      schema: { tags, summary: 'The process runs.', security: [], response: { 200: z.string() } },
    },
    async (_request, reply) => reply.type('text/plain').send('ok\n'),
  );
  api.get(
    '/readyz',
    {
      config: { open: true, probe: true },
      schema: {
        tags,
        summary: 'Devices are accepted, and can be sent to a node.',
        security: [],
        response: { 200: named.Readiness, 503: named.Readiness },
      },
    },
    async (_request, reply) => {
      const status = backend.status();
      if (status.ready) return { ready: true };
      return reply.code(503).send({ ready: false, reason: reasonOf(status) });
    },
  );
  api.get(
    '/metrics',
    {
      schema: { tags, summary: 'Prometheus text.', produces: ['text/plain'], response: { 200: z.string() } },
    },
    async (_request, reply) => {
      const { contentType, body } = await backend.metrics();
      return reply.header('content-type', contentType).send(body);
    },
  );
}

function reasonOf({ nodes, proxy, silentThreads, failingThreads }: StatusView): string {
  if (silentThreads.length > 0) return `data thread ${silentThreads.join(', ')} does not answer`;
  if (failingThreads.length > 0) return `data thread ${failingThreads.join(', ')} dies again and again`;
  if (proxy.state === 'draining') return 'the proxy is drained';
  if (nodes.total === 0) return 'no node is known';
  if (nodes.enabled === 0) return 'no node is enabled';
  return nodes.healthy === 0 ? 'no enabled node is healthy' : 'no devices are accepted';
}
