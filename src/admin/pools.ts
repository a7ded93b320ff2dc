/** The route of the admin API that lists the pools. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

export function poolRoutes(api: Api, backend: Pick<Backend, 'pools'>): void {
  api.get(
    `${API_PREFIX}/pools`,
    { schema: { tags: ['pools'], summary: 'All pools.', response: { 200: z.array(named.Pool) } } },
    async () => backend.pools(),
  );
}
