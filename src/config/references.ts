import { MAX_NODES } from '../nodes/node.ts';
import { defaultNodeId, parseNodeUrl } from '../nodes/url.ts';
import { fullUrl, withoutSecrets } from './address.ts';
import { findAdminProblems } from './admin-references.ts';
import { findSharedAddresses } from './bound-addresses.ts';
import { type Finding, type Path, unknownNames } from './problems.ts';
import { findMixedProtocols } from './protocols.ts';
import { at, keysOf, listOf, textAt } from './raw.ts';

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
    ...findSharedAddresses(raw),
    ...tooManyNodes(raw, pools),
    ...findMixedProtocols(raw, pools),
    ...findAdminProblems(raw),
  ];
}

interface Placed {
  readonly path: Path;
  readonly value: string;
}

function unknownPools(raw: unknown, pools: readonly string[]): Finding[] {
  const known = new Set(pools);
  const unknown = unknownNames('pool', pools);
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
  return used.flatMap(({ path, pool }) =>
    typeof pool !== 'string' || known.has(pool) ? [] : [{ path, message: unknown(pool) }],
  );
}

function unknownListeners(raw: unknown): Finding[] {
  const urlOf = (text: unknown): string | undefined =>
    typeof text === 'string' ? attempt(() => fullUrl(text)) : undefined;
  const urls = (listOf(at(raw, 'listeners')) ?? []).map((listener) => urlOf(at(listener, 'url')));
  const known = new Set(urls.filter((url) => url !== undefined));
  const unknown = unknownNames('listener', [...known]);
  return (listOf(at(raw, 'rules')) ?? []).flatMap((rule, index) => {
    const named = at(at(rule, 'when'), 'listener');
    const path = ['rules', index, 'when', 'listener'];
    return (listOf(named) ?? (named === undefined ? [] : [named])).flatMap((url) => {
      const full = urlOf(url);
      if (full === undefined || known.has(full)) return [];
      return [{ path, message: unknown(full) }];
    });
  });
}

function nodeIds(raw: unknown, pools: readonly string[]): Placed[] {
  return pools.flatMap((pool) =>
    (listOf(at(at(at(raw, 'pools'), pool), 'nodes')) ?? []).flatMap((node, index) => {
      const path = ['pools', pool, 'nodes', index];
      const id = textAt(node, 'id');
      if (id !== undefined) return [{ path: [...path, 'id'], value: id }];
      const made = attempt(() => defaultNodeId(parseNodeUrl(textAt(node, 'url') ?? '')));
      return made === undefined ? [] : [{ path: [...path, 'url'], value: made }];
    }),
  );
}

function tooManyNodes(raw: unknown, pools: readonly string[]): Finding[] {
  let before = 0;
  for (const pool of pools) {
    const count = listOf(at(at(at(raw, 'pools'), pool), 'nodes'))?.length ?? 0;
    if (before + count > MAX_NODES) {
      const message = `is one too many: all pools together hold at most ${MAX_NODES} nodes`;
      return [{ path: ['pools', pool, 'nodes', MAX_NODES - before], message }];
    }
    before += count;
  }
  return [];
}

/** Two that would find the same nodes, in whatever pools: a node is in one. */
function discoveries(raw: unknown, pools: readonly string[]): Placed[] {
  return pools.flatMap((pool) =>
    (listOf(at(at(at(raw, 'pools'), pool), 'discovery')) ?? []).flatMap((entry, index) => {
      const kind = at(entry, 'dns') === undefined ? 'emqx' : 'dns';
      const name = textAt(entry, kind);
      if (name === undefined) return [];
      const details = ['port', 'family', 'resolver', 'srv'].flatMap((key) => {
        const value = at(entry, key);
        return value === undefined || typeof value === 'object' ? [] : [`${key} ${value}`];
      });
      const value = [`${kind} ${withoutSecrets(name)}`, ...details].join(', ');
      return [{ path: ['pools', pool, 'discovery', index], value }];
    }),
  );
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
