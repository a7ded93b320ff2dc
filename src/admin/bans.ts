/** Routes of the admin API for bans: list, add and remove them. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { banParams, named, nothing } from './schemas.ts';

const BANS = `${API_PREFIX}/bans`;
const tags = ['bans'];

export function banRoutes(api: Api, backend: Pick<Backend, 'bans' | 'ban' | 'unban'>): void {
  api.get(
    BANS,
    { schema: { tags, summary: 'All bans, newest first.', response: { 200: z.array(named.Ban) } } },
    async () => backend.bans(),
  );
  api.post(
    BANS,
    {
      schema: {
        tags,
        summary: 'Ban a device, or a network, at every proxy. A ban of the same one is replaced.',
        body: named.BanRequest,
        response: { 201: named.Ban },
      },
    },
    async (request, reply) => reply.code(201).send(await backend.ban(request.body)),
  );
  api.delete(
    `${BANS}/:id`,
    { schema: { tags, summary: 'Remove a ban.', params: banParams, response: { 204: nothing('Removed.') } } },
    async (request, reply) => {
      await backend.unban(request.params.id);
      return reply.code(204).send();
    },
  );
}
