/** The route of the admin API that reads the configuration again, as SIGHUP does. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

export function reloadRoutes(api: Api, backend: Pick<Backend, 'reload'>): void {
  api.post(
    `${API_PREFIX}/reload`,
    {
      schema: {
        tags: ['status'],
        summary:
          'Read the configuration again and apply what changed; nobody is dropped whose listener remains.',
        response: { 200: named.Reload },
      },
    },
    async () => backend.reload(),
  );
}
