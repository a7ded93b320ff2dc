/** The route of the admin API that tells incidents. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { incidentQuery } from './journal-schemas.ts';
import { named } from './schemas.ts';

export function incidentRoutes(api: Api, backend: Pick<Backend, 'incidents'>): void {
  api.get(
    `${API_PREFIX}/incidents`,
    {
      schema: {
        tags: ['events'],
        summary:
          'What has happened, grouped: nodes that were lost and what became of their devices, outages, refusals.',
        querystring: incidentQuery,
        response: { 200: named.IncidentList },
      },
    },
    async (request) => backend.incidents(request.query),
  );
}
