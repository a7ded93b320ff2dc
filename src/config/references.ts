import { defaultNodeId, parseNodeUrl } from '../nodes/url.ts';
import {
  type Address,
  formatAuthority,
  fullUrl,
  isLoopback,
  parseAddress,
  parseAdminAddress,
  withoutSecrets,
} from './address.ts';
import { list } from './fields.ts';
import { type Finding, type Path, unknownName } from './problems.ts';
import { findMixedProtocols } from './protocols.ts';
import { at, keysOf, listOf } from './raw.ts';

/**
 * What one value of the file says about another: names that must exist, addresses that must differ.
 * Works on the raw file, whatever else is wrong with it, so that all problems are reported at once;
 * whatever has not even the right type is passed over, because the schema reports it.
 */
export function findBrokenReferences(raw: unknown): Finding[] {
  const pools = keysOf(at(raw, 'pools')) ?? ['default'];
  return [
    ...unknownPools(raw, pools),
    ...unknownListeners(raw),
    // the schema's library passes over this one key in silence
    ...(pools.includes('__proto__')
      ? [{ path: ['pools', '__proto__'], message: 'is not a possible name' }]
      : []),
    ...duplicates(nodeIds(raw, pools), (id) => `node id '${id}'`),
    ...duplicates(discoveries(raw, pools), (what) => what),
    ...duplicates(addresses(raw), (address) => `address ${address}`),
    ...findMixedProtocols(raw, pools),
    ...missingToken(raw),
  ];
}

interface Placed {
  readonly path: Path;
  readonly value: string;
}

function unknownPools(raw: unknown, pools: readonly string[]): Finding[] {
  const used: { path: Path; pool: unknown }[] = [
    ...(listOf(at(raw, 'listeners')) ?? [{}]).map((listener, index) => ({
      path: at(listener, 'pool') === undefined ? ['listeners', index] : ['listeners', index, 'pool'],
      pool: at(listener, 'pool') ?? 'default',
    })),
    ...(listOf(at(raw, 'rules')) ?? []).map((rule, index) => ({
      path: ['rules', index, 'pool'],
      pool: at(rule, 'pool'),
    })),
  ];
  return used
    .filter(({ pool }) => typeof pool === 'string' && !pools.includes(pool))
    .map(({ path, pool }) => ({ path, message: unknownName(pool, pools) }));
}

function unknownListeners(raw: unknown): Finding[] {
  const urlOf = (text: unknown): string | undefined => attempt(() => fullUrl(String(text)));
  const known = (listOf(at(raw, 'listeners')) ?? []).map((listener) => urlOf(at(listener, 'url')));
  return (listOf(at(raw, 'rules')) ?? []).flatMap((rule, index) => {
    const named = at(at(rule, 'when'), 'listener');
    const path = ['rules', index, 'when', 'listener'];
    return (listOf(named) ?? (named === undefined ? [] : [named])).flatMap((url) => {
      const full = urlOf(url);
      if (full === undefined || known.includes(full)) return [];
      return [
        {
          path,
          message: `listener '${full}' does not exist; use ${list(known.flatMap((one) => one ?? []))}`,
        },
      ];
    });
  });
}

function nodeIds(raw: unknown, pools: readonly string[]): Placed[] {
  return pools.flatMap((pool) =>
    (listOf(at(at(at(raw, 'pools'), pool), 'nodes')) ?? []).flatMap((node, index) => {
      const path = ['pools', pool, 'nodes', index];
      const id = at(node, 'id');
      if (typeof id === 'string') return [{ path: [...path, 'id'], value: id }];
      const made = attempt(() => defaultNodeId(parseNodeUrl(String(at(node, 'url')))));
      return made === undefined ? [] : [{ path: [...path, 'url'], value: made }];
    }),
  );
}

/** Two that would find the same nodes, in whatever pools: a node is in one. */
function discoveries(raw: unknown, pools: readonly string[]): Placed[] {
  return pools.flatMap((pool) =>
    (listOf(at(at(at(raw, 'pools'), pool), 'discovery')) ?? []).flatMap((entry, index) => {
      const kind = at(entry, 'dns') === undefined ? 'emqx' : 'dns';
      const name = at(entry, kind);
      if (typeof name !== 'string') return [];
      const details = ['port', 'family', 'resolver', 'srv'].flatMap((key) =>
        at(entry, key) === undefined ? [] : [`${key} ${at(entry, key)}`],
      );
      const value = [`${kind} ${withoutSecrets(name)}`, ...details].join(', ');
      return [{ path: ['pools', pool, 'discovery', index], value }];
    }),
  );
}

/** Every address that this proxy would bind, the admin API's last; port 0 never collides. */
function addresses(raw: unknown): Placed[] {
  const bound: { path: Path; address: Address | undefined }[] = (listOf(at(raw, 'listeners')) ?? []).map(
    (listener, index) => ({
      path: ['listeners', index, 'url'],
      address: attempt(() => parseAddress(String(at(listener, 'url')))),
    }),
  );
  const admin = attempt(() => parseAdminAddress(String(at(at(raw, 'admin'), 'url'))));
  bound.push({ path: ['admin', 'url'], address: admin });
  return bound.flatMap(({ path, address }) => {
    if (address === undefined || address.port === 0) return [];
    return [{ path, value: formatAuthority(address.host, address.port) }];
  });
}

function missingToken(raw: unknown): Finding[] {
  const admin = at(raw, 'admin');
  const address = attempt(() => parseAdminAddress(String(at(admin, 'url'))));
  if (address === undefined || isLoopback(address.host) || at(admin, 'token') !== undefined) return [];
  const message = `${address.host} is not loopback, so the admin API needs a token: set admin.token or BREAKWATER_TOKEN, or use http://127.0.0.1:${address.port}`;
  return [{ path: ['admin', 'url'], message, code: 'ADMIN_TOKEN_REQUIRED' }];
}

function duplicates(placed: readonly Placed[], describe: (value: string) => string): Finding[] {
  const seen = new Set<string>();
  return placed.flatMap(({ path, value }) => {
    if (seen.has(value)) return [{ path, message: `${describe(value)} is used twice` }];
    seen.add(value);
    return [];
  });
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
