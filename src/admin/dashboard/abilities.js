// @ts-check
/** What this person may do at this proxy: what its API has, as far as the role of the token allows it. */

import { get } from './api.js';

/** @import { Role } from '../../config/admin.ts' */

/** Each action: its request, as the API describes it. */
const actions = /** @type {const} */ ({
  add: ['post', '/nodes'],
  remove: ['delete', '/nodes/{id}'],
  change: ['patch', '/nodes/{id}'],
  drain: ['post', '/nodes/{id}/drain'],
  rebalance: ['post', '/rebalance'],
  drainProxy: ['post', '/proxies/{id}/drain'],
  enableProxy: ['post', '/proxies/{id}/enable'],
  rebalanceProxies: ['post', '/proxy-rebalance'],
  kick: ['delete', '/clients/{clientId}'],
  move: ['post', '/clients/{clientId}/move'],
  bans: ['get', '/bans'],
  ban: ['post', '/bans'],
  unban: ['delete', '/bans/{id}'],
  reload: ['post', '/reload'],
  check: ['get', '/check'],
  incidents: ['get', '/incidents'],
  history: ['get', '/clients/{clientId}/history'],
  trace: ['get', '/clients/{clientId}/trace'],
});
/** @typedef {keyof typeof actions} Action */

/** @type {readonly Role[]} */
const roles = ['viewer', 'operator', 'admin'];

/**
 * @typedef {{ readonly 'x-least-role'?: Role }} Operation
 */
/** @type {Record<string, Record<string, Operation>>} */
let paths = {};
/** @type {Role} */
let role = 'viewer';

/** Asks once, before anything is offered. */
export async function learnAbilities() {
  [{ paths }, { role }] = await Promise.all([get('/openapi.json'), get('/whoami')]);
}

/** @param {Action} action */
export function may(action) {
  const [method, path] = actions[action];
  const operation = paths[`/api/v1${path}`]?.[method];
  if (operation === undefined) return false;
  return roles.indexOf(role) >= roles.indexOf(operation['x-least-role'] ?? 'admin');
}

export function roleNow() {
  return role;
}
