/** Who may ask for what. */

import { type Role, roles } from '../config/admin.ts';
import { API_PREFIX } from './api.ts';

/**
 * The least role of each request. What does not stand here is for `admin`, so that a request that somebody forgot to
 * think about is not open to everybody; `test/integration/admin-roles.test.ts` names those.
 */
const leastRoles: Readonly<Record<string, Role>> = {
  'GET /metrics': 'viewer',
  [`GET ${API_PREFIX}/openapi.json`]: 'viewer',
  [`GET ${API_PREFIX}/whoami`]: 'viewer',
  [`GET ${API_PREFIX}/status`]: 'viewer',
  [`GET ${API_PREFIX}/events`]: 'viewer',
  [`GET ${API_PREFIX}/incidents`]: 'viewer',
  [`GET ${API_PREFIX}/pools`]: 'viewer',
  [`GET ${API_PREFIX}/proxies`]: 'viewer',
  [`GET ${API_PREFIX}/proxies/:id/drain`]: 'viewer',
  [`GET ${API_PREFIX}/proxy-rebalance`]: 'viewer',
  [`POST ${API_PREFIX}/proxies/:id/drain`]: 'operator',
  [`POST ${API_PREFIX}/proxies/:id/enable`]: 'operator',
  [`POST ${API_PREFIX}/proxy-rebalance`]: 'operator',
  [`GET ${API_PREFIX}/nodes`]: 'viewer',
  [`GET ${API_PREFIX}/nodes/:id`]: 'viewer',
  [`GET ${API_PREFIX}/nodes/:id/drain`]: 'viewer',
  [`GET ${API_PREFIX}/clients`]: 'viewer',
  [`GET ${API_PREFIX}/clients/:clientId`]: 'viewer',
  [`GET ${API_PREFIX}/clients/:clientId/history`]: 'viewer',
  [`GET ${API_PREFIX}/clients/:clientId/trace`]: 'operator',
  [`GET ${API_PREFIX}/bans`]: 'viewer',
  [`POST ${API_PREFIX}/bans`]: 'operator',
  [`DELETE ${API_PREFIX}/bans/:id`]: 'operator',
  [`GET ${API_PREFIX}/rebalance`]: 'viewer',
  [`PATCH ${API_PREFIX}/nodes/:id`]: 'operator',
  [`POST ${API_PREFIX}/nodes/:id/drain`]: 'operator',
  [`DELETE ${API_PREFIX}/clients/:clientId`]: 'operator',
  [`POST ${API_PREFIX}/clients/:clientId/move`]: 'operator',
  [`POST ${API_PREFIX}/rebalance`]: 'operator',
  [`POST ${API_PREFIX}/nodes`]: 'admin',
  [`DELETE ${API_PREFIX}/nodes/:id`]: 'admin',
  [`POST ${API_PREFIX}/reload`]: 'admin',
  [`GET ${API_PREFIX}/check`]: 'operator',
  [`POST ${API_PREFIX}/upgrade`]: 'admin',
};

/** @param url as the route has it; undefined: there is no such route, which everybody may be told */
export function leastRole(method: string, url: string | undefined): Role {
  if (url === undefined) return 'viewer';
  return leastRoles[`${method === 'HEAD' ? 'GET' : method} ${url}`] ?? 'admin';
}

/** Does a role reach as far as another one? */
export function reaches(role: Role, least: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(least);
}
