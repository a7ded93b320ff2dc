/** The route of the admin API that lists the proxies of the cluster. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

export function proxyRoutes(api: Api, backend: Pick<Backend, 'proxies'>): void {
  api.get(
    `${API_PREFIX}/proxies`,
    {
      schema: {
        tags: ['proxies'],
        summary: 'The proxies of the cluster.',
        response: { 200: z.array(named.Proxy) },
      },
    },
    async () => backend.proxies(),
  );
}
