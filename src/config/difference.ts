import type { Config } from './config.ts';

/** What lies between two configurations: all that a running proxy has to do, or cannot do. */
export interface Difference {
  readonly listeners: NamedChanges;
  readonly pools: NamedChanges;
  /** Paths of everything else that is other than before and may change while the proxy runs, such as `rules`. */
  readonly settings: readonly string[];
  /** Paths of what is other than before and holds until the proxy is started again. */
  readonly needRestart: readonly string[];
}

/** By name, in the order of the configuration; a listener's name is its key (`listenerKeys`). */
export interface NamedChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

type Part = Readonly<Record<string, (config: Config) => unknown>>;

/**
 * Cannot change under live connections: who this proxy is to the others of its cluster, what its threads are made of,
 * and where people reach it.
 */
const fixed: Part = {
  cluster: ({ cluster }) => cluster,
  'proxy.id': ({ proxy }) => proxy.id,
  'proxy.threads': ({ proxy }) => proxy.threads,
  'proxy.engine': ({ proxy }) => proxy.engine,
  'membership.store': ({ membership }) => membership.store,
  'membership.url': ({ membership }) => membership.url,
  'membership.secret': ({ membership }) => membership.signing,
  'membership.heartbeat': ({ membership }) => membership.heartbeatMs,
  'admin.url': ({ admin }) => admin.url,
  'admin.tls.clientAuth': ({ admin }) => admin.tls?.clientAuth,
  'limits.highWater': ({ limits }) => limits.highWaterBytes,
  'limits.maxHandshakes': ({ limits }) => limits.maxHandshakes,
  'limits.gather': ({ limits }) => limits.gathers,
  'log.format': ({ log }) => log.format,
};

const swappable: Part = {
  rules: ({ rules }) => rules,
  'membership.recallTimeout': ({ membership }) => membership.recallTimeoutMs,
  'admin.token': ({ admin }) => admin.token,
  'admin.tokens': ({ admin }) => admin.tokens,
  'admin.tracePayloads': ({ admin }) => admin.tracePayloads,
  'admin.tls': ({ admin: { tls, clients } }) => [tls?.certificates, tls?.clientCa, clients],
  limits: ({ limits: { highWaterBytes: _, maxHandshakes: _fixed, gathers: _also, ...limits } }) => limits,
  'log.level': ({ log }) => log.level,
};

export function difference(before: Config, after: Config): Difference {
  const differing = (part: Part): string[] =>
    Object.entries(part).flatMap(([path, of]) => (isSame(of(before), of(after)) ? [] : [path]));
  return {
    listeners: changes(byKey(before.listeners), byKey(after.listeners)),
    pools: changes(byName(before.pools), byName(after.pools)),
    settings: differing(swappable),
    needRestart: differing(fixed),
  };
}

export function isEmpty({ listeners, pools, settings, needRestart }: Difference): boolean {
  const named = [listeners, pools].flatMap(({ added, removed, changed }) => [added, removed, changed]);
  return [...named, settings, needRestart].every((list) => list.length === 0);
}

/** The key of each listener: its URL; where several let the system choose a port, its position too. */
export function listenerKeys(listeners: readonly { readonly url: string }[]): string[] {
  return listeners.map(({ url }, index) => {
    const turn = listeners.slice(0, index).filter((other) => other.url === url).length;
    return turn === 0 ? url : `${url} (${turn + 1})`;
  });
}

function byKey(listeners: Config['listeners']): Map<string, unknown> {
  const keys = listenerKeys(listeners);
  return new Map(listeners.map((listener, index) => [keys[index] ?? '', listener]));
}

function byName(pools: Config['pools']): Map<string, unknown> {
  return new Map(pools.map((pool) => [pool.name, pool]));
}

function changes(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): NamedChanges {
  const names = [...after.keys()];
  return {
    added: names.filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: names.filter((name) => before.has(name) && !isSame(before.get(name), after.get(name))),
  };
}

/** Configurations are plain data, made by one function: equal ones have one text. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
