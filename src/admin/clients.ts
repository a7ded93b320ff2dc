/** Routes of the admin API for connected clients: list, look at, move and disconnect them. */

import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { clientParams, clientQuery, named, nothing } from './schemas.ts';

type Clients = Pick<Backend, 'clients' | 'client' | 'history' | 'kickClient' | 'moveClient'>;

const CLIENTS = `${API_PREFIX}/clients`;
const CLIENT = `${CLIENTS}/:clientId`;
const tags = ['clients'];

export function clientRoutes(api: Api, backend: Clients): void {
  api.get(
    CLIENTS,
    {
      schema: {
        tags,
        summary: 'Connected clients.',
        querystring: clientQuery,
        response: { 200: named.ClientList },
      },
    },
    async (request) => backend.clients(request.query),
  );
  api.get(
    CLIENT,
    { schema: { tags, summary: 'One client.', params: clientParams, response: { 200: named.ClientDetail } } },
    async (request) => backend.client(request.params.clientId),
  );
  api.get(
    `${CLIENT}/history`,
    {
      schema: {
        tags,
        summary: 'What happened to a device of late, at every proxy; also to one that has left.',
        params: clientParams,
        response: { 200: named.ClientHistory },
      },
    },
    async (request) => backend.history(request.params.clientId),
  );
  api.delete(
    CLIENT,
    {
      schema: {
        tags,
        summary: 'Disconnect a client.',
        params: clientParams,
        response: { 204: nothing('Kicked.') },
      },
    },
    async (request, reply) => {
      await backend.kickClient(request.params.clientId);
      return reply.code(204).send();
    },
  );
  api.post(
    `${CLIENT}/move`,
    {
      schema: {
        tags,
        summary: 'Move a session to another node while its device stays connected; answers when it is there.',
        params: clientParams,
        body: named.ClientMove,
        response: { 200: named.ClientDetail },
      },
    },
    async (request) => backend.moveClient(request.params.clientId, request.body.node),
  );
}
