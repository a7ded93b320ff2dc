// @ts-check
/** What needs attention: the order of nodes, their fair shares, and what is wrong with the cluster. Pure. */

import { counted, natural } from './format.js';

/** @import { DrainView, NodeView, ProxyView, StatusView } from '../backend.ts' */

/**
 * The lower, the sooner somebody should look. A node that a person disabled may well be down: that is no alarm.
 * @param {NodeView} node
 * @param {DrainView} [drain]
 */
function rankOf({ state, health }, drain) {
  if (state === 'disabled') return 6;
  if (health === 'unhealthy') return state === 'enabled' ? 0 : 1;
  if (state === 'draining') return drain?.state === 'blocked' ? 2 : 3;
  return health === 'unknown' ? 4 : 5;
}

/**
 * @param {readonly NodeView[]} nodes
 * @param {ReadonlyMap<string, DrainView>} drains
 * @returns {NodeView[]}
 */
export function byAttention(nodes, drains) {
  const ranks = new Map(nodes.map((node) => [node.id, rankOf(node, drains.get(node.id))]));
  const rank = (/** @type {NodeView} */ { id }) => ranks.get(id) ?? 0;
  return nodes.toSorted((a, b) => rank(a) - rank(b) || natural(a.pool, b.pool) || natural(a.id, b.id));
}

/**
 * What each node would have if its pool's connections were shared by weight among the nodes that take devices.
 * @param {readonly NodeView[]} nodes
 * @returns {Map<string, number>}
 */
export function fairShares(nodes) {
  const takes = (/** @type {NodeView} */ { state, health }) => state === 'enabled' && health !== 'unhealthy';
  /** @type {Map<string, { connections: number, weight: number }>} */
  const pools = new Map();
  for (const node of nodes) {
    const pool = pools.get(node.pool) ?? { connections: 0, weight: 0 };
    pool.connections += node.connections;
    if (takes(node)) pool.weight += node.weight;
    pools.set(node.pool, pool);
  }
  return new Map(
    nodes.map((node) => {
      const { connections = 0, weight = 0 } = pools.get(node.pool) ?? {};
      return [node.id, takes(node) ? (connections * node.weight) / weight : 0];
    }),
  );
}

/**
 * One thing that is wrong: what, why, since when (RFC 3339), and which node it is about.
 * @typedef {{
 *   readonly tone: 'bad' | 'warn', readonly what: string, readonly why: string,
 *   readonly since?: string | undefined, readonly node?: string | undefined,
 * }} Problem
 */

/**
 * @param {StatusView} status
 * @param {readonly NodeView[]} nodes
 * @param {readonly ProxyView[]} proxies
 * @param {ReadonlyMap<string, DrainView>} drains
 * @returns {Problem[]} the worst first
 */
export function problemsOf(status, nodes, proxies, drains) {
  return [
    ...proxyProblems(status),
    ...poolProblems(nodes),
    ...nodes
      .filter(({ state, health }) => state !== 'disabled' && health === 'unhealthy')
      .map(nodeProblem)
      .toSorted((a, b) => natural(b.since ?? '', a.since ?? '')),
    ...nodes.flatMap(({ id }) => drainProblem(drains.get(id))),
    ...proxies.flatMap(missedProxy),
  ].toSorted((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}

/**
 * @param {StatusView} status
 * @returns {Problem[]}
 */
function proxyProblems({
  proxy,
  store,
  lostProxies,
  silentThreads,
  failingThreads,
  nodes,
  ready,
  ...status
}) {
  /** @type {Problem[]} */
  const found = [];
  if (silentThreads.length > 0) {
    const threads = `data thread ${silentThreads.join(', ')} of ${proxy.id} does not answer`;
    found.push({ tone: 'bad', what: threads, why: 'its devices are not served until it does' });
  }
  if (failingThreads.length > 0) {
    const threads = `data thread ${failingThreads.join(', ')} of ${proxy.id} dies again and again`;
    found.push({
      tone: 'bad',
      what: threads,
      why: 'each time its devices are cut off; the proxy is not ready',
    });
  }
  if (!store.up) {
    const cause = store.cause === undefined ? '' : `${store.cause}; `;
    const why = `${cause}nodes and proxies stay as they were last known; devices are served as before`;
    found.push({ tone: 'bad', what: `the ${store.kind} store is down`, why, since: store.since });
  }
  for (const { id, since, connections } of lostProxies) {
    const why = `${connections} devices were connected to it; the other proxies go on`;
    found.push({ tone: 'bad', what: `proxy ${id} has vanished`, why, since });
  }
  if (status.logLoss !== undefined) {
    const { lines, reason } = status.logLoss;
    const why = `${reason}: ${counted(lines, 'line')} lost; make room where the log of ${proxy.id} goes`;
    found.push({ tone: 'warn', what: 'the log is not taken', why });
  }
  found.push(...tlsProblems(status.certificates, status.crls), ...shortage(status.descriptorShortage));
  if (nodes.total === 0) found.push({ tone: 'bad', what: 'no node is known', why: 'add one' });
  else if (nodes.enabled === 0) found.push({ tone: 'bad', what: 'no node is enabled', why: 'enable one' });
  else if (!ready && found.length === 0 && nodes.healthy > 0)
    found.push({ tone: 'bad', what: `proxy ${proxy.id} takes no devices`, why: 'it starts or stops' });
  return found;
}

/** A certificate that expires sooner should have been renewed. */
const SOON_MS = 14 * 86_400_000;

/**
 * @param {StatusView['certificates']} certificates
 * @param {StatusView['crls']} crls
 * @returns {Problem[]}
 */
function tlsProblems(certificates, crls) {
  /** @type {Problem[]} */
  const found = [];
  for (const { listener, subject, notAfter } of certificates) {
    const left = Date.parse(notAfter) - Date.now();
    if (left > SOON_MS) continue;
    const hours = Math.floor(left / 3_600_000);
    const soon = hours >= 48 ? `${Math.floor(hours / 24)} days` : counted(hours, 'hour');
    found.push(
      left <= 0
        ? {
            ...{ tone: 'bad', what: `the certificate ${subject} has expired`, since: notAfter },
            why: `${listener}: devices refuse it`,
          }
        : {
            ...{ tone: 'warn', what: `the certificate ${subject} expires in ${soon}` },
            why: `${listener}: renew it, and reload`,
          },
    );
  }
  for (const { listener, issuer, nextUpdate, state } of crls) {
    if (state === 'valid') continue;
    const effect = state === 'expired' ? 'no device with a certificate is let in' : 'it counts as it is';
    found.push({
      ...{ tone: state === 'expired' ? 'bad' : 'warn', what: `the revocation list of ${issuer} has expired` },
      ...{ why: `${listener}: ${effect}`, since: nextUpdate },
    });
  }
  return found;
}

/**
 * @param {StatusView['descriptorShortage']} short
 * @returns {Problem[]}
 */
function shortage(short) {
  if (short === undefined) return [];
  const { limit, needed, maxConnections } = short;
  const why = `${limit} are allowed, ${needed} are needed: only ${maxConnections} devices are taken`;
  return [{ tone: 'warn', what: 'the process may open too few files', why }];
}

/**
 * @param {readonly NodeView[]} nodes
 * @returns {Problem[]}
 */
function poolProblems(nodes) {
  const enabled = nodes.filter(({ state }) => state === 'enabled');
  const pools = [...new Set(enabled.map(({ pool }) => pool))];
  return pools
    .filter((pool) => enabled.every((node) => node.pool !== pool || node.health === 'unhealthy'))
    .map((pool) => ({
      tone: 'bad',
      what: `pool ${pool} has no healthy node`,
      why: 'devices are sent to all of its nodes in turn',
    }));
}

/**
 * @param {NodeView} node
 * @returns {Problem}
 */
function nodeProblem({ id, healthCause = 'it failed its checks', healthSince, connections }) {
  const left = connections === 0 ? '' : `; ${connections} still connected`;
  return {
    tone: 'bad',
    what: `${id} is unhealthy`,
    why: `${healthCause}${left}`,
    since: healthSince,
    node: id,
  };
}

/**
 * @param {DrainView | undefined} drain
 * @returns {Problem[]}
 */
function drainProblem(drain) {
  if (drain?.state !== 'blocked') return [];
  const why =
    drain.stays === drain.left
      ? 'they are relayed or hold too much, and stay until they leave by themselves'
      : 'no other node takes them';
  return [
    { tone: 'warn', what: `the drain of ${drain.node} waits: ${drain.left} are left`, why, node: drain.node },
  ];
}

/** Of heartbeats that come every few seconds. */
const MISSED_SECONDS = 10;

/**
 * @param {ProxyView} proxy
 * @returns {Problem[]}
 */
function missedProxy({ id, lastSeen }) {
  if (lastSeen < MISSED_SECONDS) return [];
  return [{ tone: 'warn', what: `proxy ${id} is missed`, why: `no heartbeat for ${Math.round(lastSeen)} s` }];
}
