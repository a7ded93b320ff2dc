/** The route of the admin API that replaces the process of the proxy, as SIGUSR2 does. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

export function upgradeRoutes(api: Api, backend: Pick<Backend, 'upgrade'>): void {
  api.post(
    `${API_PREFIX}/upgrade`,
    {
      schema: {
        tags: ['status'],
        summary:
          'Replace the process by a new one of the program as it is installed now; devices stay connected.',
        response: { 200: named.Upgrade },
      },
    },
    async () => backend.upgrade(),
  );
}
