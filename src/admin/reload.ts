/** The routes of the admin API that read the configuration again: to apply it, as SIGHUP does, or only to look at it. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

export function reloadRoutes(api: Api, backend: Pick<Backend, 'reload' | 'check'>): void {
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
  api.get(
    `${API_PREFIX}/check`,
    {
      schema: {
        tags: ['status'],
        summary:
          'What is wrong with the configuration as it is now, and what a reload would change. Nothing is.',
        response: { 200: named.ConfigCheck },
      },
    },
    async () => backend.check(),
  );
}
