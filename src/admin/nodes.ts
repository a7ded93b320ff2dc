/** Routes of the admin API for nodes: list, add, change, drain and remove them. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named, nodeParams, nothing } from './schemas.ts';

type Nodes = Pick<
  Backend,
  'nodes' | 'node' | 'addNode' | 'patchNode' | 'removeNode' | 'drainNode' | 'drainProgress'
>;

const NODES = `${API_PREFIX}/nodes`;
const NODE = `${NODES}/:id`;
const tags = ['nodes'];

export function nodeRoutes(api: Api, backend: Nodes): void {
  api.get(
    NODES,
    { schema: { tags, summary: 'All nodes.', response: { 200: z.array(named.Node) } } },
    async () => backend.nodes(),
  );
  api.post(
    NODES,
    { schema: { tags, summary: 'Add a node.', body: named.NodeCreate, response: { 201: named.Node } } },
    async (request, reply) => reply.code(201).send(await backend.addNode(request.body)),
  );
  api.get(
    NODE,
    {
      schema: {
        tags,
        summary: 'One node in detail.',
        params: nodeParams,
        response: { 200: named.NodeDetail },
      },
    },
    async (request) => backend.node(request.params.id),
  );
  api.patch(
    NODE,
    {
      schema: {
        tags,
        summary: "Change a node's weight, greatest number of connections or state.",
        params: nodeParams,
        body: named.NodePatch,
        response: { 200: named.Node },
      },
    },
    async (request) => backend.patchNode(request.params.id, request.body),
  );
  api.delete(
    NODE,
    {
      schema: { tags, summary: 'Remove a node.', params: nodeParams, response: { 204: nothing('Removed.') } },
    },
    async (request, reply) => {
      await backend.removeNode(request.params.id);
      return reply.code(204).send();
    },
  );
  api.get(
    `${NODE}/drain`,
    {
      schema: {
        tags,
        summary: 'How far a drain has come.',
        params: nodeParams,
        response: { 200: named.Drain },
      },
    },
    async (request) => backend.drainProgress(request.params.id),
  );
  api.post(
    `${NODE}/drain`,
    {
      preValidation: async (request) => {
        request.body ??= {};
      },
      schema: {
        tags,
        summary: 'Send no new connection to a node, and move its sessions to others.',
        params: nodeParams,
        body: named.DrainRequest,
        response: { 200: named.Node },
      },
    },
    async (request) => backend.drainNode(request.params.id, request.body),
  );
}
