/** Routes of the admin API that start a rebalance and show its progress. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named } from './schemas.ts';

const REBALANCE = `${API_PREFIX}/rebalance`;
const tags = ['pools'];

export function rebalanceRoutes(api: Api, backend: Pick<Backend, 'rebalance' | 'rebalanceProgress'>): void {
  api.get(
    REBALANCE,
    {
      schema: { tags, summary: 'How far the last rebalance has come.', response: { 200: named.Rebalance } },
    },
    async () => backend.rebalanceProgress(),
  );
  api.post(
    REBALANCE,
    {
      preValidation: async (request) => {
        request.body ??= {};
      },
      schema: {
        tags,
        summary: 'Move just enough sessions from the fullest nodes to the emptiest, at a bounded rate.',
        body: named.RebalanceRequest,
        response: { 200: named.Rebalance },
      },
    },
    async (request) => backend.rebalance(request.body),
  );
}
