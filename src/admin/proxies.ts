/** Routes of the admin API for proxies: list them, take one out and in again, and even devices out over them. */

import { z } from 'zod';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { named, nothing, proxyParams } from './schemas.ts';

type ProxyBackend = Pick<
  Backend,
  | 'proxies'
  | 'drainProxy'
  | 'proxyDrainProgress'
  | 'enableProxy'
  | 'rebalanceProxies'
  | 'proxyRebalanceProgress'
>;

const PROXIES = `${API_PREFIX}/proxies`;
const PROXY = `${PROXIES}/:id`;
const REBALANCE = `${API_PREFIX}/proxy-rebalance`;
const tags = ['proxies'];

/** A request may come without a body. */
const preValidation = async (request: { body: unknown }): Promise<void> => {
  request.body ??= {};
};

export function proxyRoutes(api: Api, backend: ProxyBackend): void {
  api.get(
    PROXIES,
    { schema: { tags, summary: 'The proxies of the cluster.', response: { 200: z.array(named.Proxy) } } },
    async () => backend.proxies(),
  );
  drainRoutes(api, backend);
  api.get(
    REBALANCE,
    {
      schema: {
        tags,
        summary: 'How far devices are evened out over the proxies.',
        response: { 200: named.ProxyRebalance },
      },
    },
    async () => backend.proxyRebalanceProgress(),
  );
  api.post(
    REBALANCE,
    {
      preValidation,
      schema: {
        tags,
        summary: 'Let devices go that proxies have above the mean, at a bounded rate.',
        body: named.ProxyRebalanceRequest,
        response: { 200: named.ProxyRebalance },
      },
    },
    async (request) => backend.rebalanceProxies(request.body),
  );
}

function drainRoutes(api: Api, backend: ProxyBackend): void {
  api.get(
    `${PROXY}/drain`,
    {
      schema: {
        tags,
        summary: 'How far the drain of a proxy has come.',
        params: proxyParams,
        response: { 200: named.ProxyDrain },
      },
    },
    async (request) => backend.proxyDrainProgress(request.params.id),
  );
  api.post(
    `${PROXY}/drain`,
    {
      preValidation,
      schema: {
        tags,
        summary: 'Take a proxy out: it is not ready, and its devices leave at a bounded rate.',
        params: proxyParams,
        body: named.ProxyDrainRequest,
        response: { 200: named.ProxyDrain },
      },
    },
    async (request) => backend.drainProxy(request.params.id, request.body),
  );
  api.post(
    `${PROXY}/enable`,
    {
      schema: {
        tags,
        summary: 'Take a proxy in again.',
        params: proxyParams,
        response: { 204: nothing('It takes devices again.') },
      },
    },
    async (request, reply) => {
      await backend.enableProxy(request.params.id);
      return reply.code(204).send();
    },
  );
}
