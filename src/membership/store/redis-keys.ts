import type { ClientKey } from './store.ts';

/**
 * Every key and channel that Breakwater has in Redis. All begin with one hash tag, so that in a Redis Cluster they live
 * in one slot and a script may touch several of them.
 *
 * `TEXT` is JSON with its version (`v`), as `codec.ts` writes it. What proxies of another version are to leave alone gets
 * another name, or another version.
 *
 * | key | what it holds |
 * | --- | --- |
 * | `{breakwater:NAME}:meta` | hash: `version` of nodes, decisions and bans; `bans`, the last that changed a ban; `base`, the version up to which all is contained; `sweptAt` (ms) |
 * | `{breakwater:NAME}:nodes` | hash: node id to `VERSION TEXT` |
 * | `{breakwater:NAME}:decisions` | hash: node id to `VERSION TEXT` |
 * | `{breakwater:NAME}:bans` | hash: ban id to `VERSION TEXT` |
 * | `{breakwater:NAME}:leases` | hash: id of a self-registered node to `ENDS LASTS FORGET LATE` (ms, ms, ms, 0 or 1) |
 * | `{breakwater:NAME}:proxies` | hash: proxy id to `ENDS LASTS BEAT_AT VERSION TEXT` (ms, ms, ms) |
 * | `{breakwater:NAME}:history` | sorted set: the last versions |
 * | `{breakwater:NAME}:shared` | hash: name to `TEXT` |
 * | `{breakwater:NAME}:client:POOL CLIENT_ID` | hash: `proxy`, `who`, `epoch`, `TEXT` (the claim); expires |
 * | `{breakwater:NAME}:session:POOL CLIENT_ID` | hash: `connection` that took the session last, `next` that waits for it, `TEXT` while none has it; expires |
 */
export function redisKeys(cluster: string, proxyId: string) {
  const tag = `{breakwater:${cluster}}`;
  const inboxOf = (proxy: string): string => `${tag}:proxy:${proxy}`;
  return {
    /** In the order that the scripts name them. */
    membership: ['meta', 'nodes', 'decisions', 'leases', 'proxies', 'history', 'bans'].map(
      (name) => `${tag}:${name}`,
    ),
    shared: `${tag}:shared`,
    /** No name of a pool has a space. */
    client: ({ pool, clientId }: ClientKey): string => `${tag}:client:${pool} ${clientId}`,
    session: ({ pool, clientId }: ClientKey): string => `${tag}:session:${pool} ${clientId}`,

    /** Channel: nodes, decisions, bans or proxies changed. */
    changes: `${tag}:changes`,
    /** Channel: a proxy claimed a device. */
    claims: `${tag}:claims`,
    /** Channel: a proxy asks all others. */
    questions: `${tag}:questions`,
    /** Channel: a proxy asks this one. */
    questionsTo: (proxy: string): string => `${tag}:questions:${proxy}`,
    /** Channel: answers to this proxy, and its own pulse. */
    inbox: inboxOf(proxyId),
    inboxOf,
  };
}

export type RedisKeys = ReturnType<typeof redisKeys>;
