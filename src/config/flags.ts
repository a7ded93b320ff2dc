import { withoutSecrets } from './address.ts';
import { hasToken } from './admin-references.ts';
import type { Environment } from './environment.ts';
import type { Finding, Path } from './problems.ts';
import { at } from './raw.ts';

/** What `breakwater start` takes besides, or instead of, a file. */
export interface Flags {
  /** Listener URLs; given at all, they replace the file's listeners. */
  readonly listen?: readonly string[];
  /** `URL[,weight=N][,id=ID][,pool=P]`; added to the file's nodes. */
  readonly node?: readonly string[];
  /** Of every pool. */
  readonly strategy?: string;
  /** URL of the Redis that holds the membership; may hold a password. */
  readonly redis?: string;
  /** URL of the admin API. */
  readonly admin?: string;
  /** From the environment: used where the file has no token at all, or that of a viewer would make an admin. */
  readonly adminToken?: string;
  /** Where values of the file that are `${NAME}` are looked up. */
  readonly environment?: Environment;
}

/** The file's content with the flags laid over it, not yet validated. */
export interface Merged {
  readonly raw: unknown;
  /** The flag that a value came from, as it was typed; `undefined` for what stands in the file. */
  flagOf(path: Path): string | undefined;
  readonly findings: readonly Finding[];
}

type Mapping = Record<string, unknown>;

/** Lays flags over a file's content, which may be anything: what has the wrong shape is left for the schema to report. */
export function mergeFlags(file: unknown, flags: Flags): Merged {
  if (!isMapping(file)) return { raw: file, flagOf: () => undefined, findings: [] };
  const raw: Mapping = { ...file };
  const origins: { path: Path; flag: string }[] = [];
  const findings: Finding[] = [];

  if (flags.listen !== undefined && flags.listen.length > 0) {
    raw.listeners = flags.listen.map((url) => ({ url }));
    flags.listen.forEach((url, index) => {
      origins.push({ path: ['listeners', index], flag: `--listen ${withoutSecrets(url)}` });
    });
  }
  if (flags.admin !== undefined) {
    raw.admin = { ...mappingOf(raw.admin), url: flags.admin };
    origins.push({ path: ['admin', 'url'], flag: `--admin ${withoutSecrets(flags.admin)}` });
  }
  if (flags.adminToken !== undefined && !hasToken(raw.admin)) {
    raw.admin = { ...mappingOf(raw.admin), token: flags.adminToken };
    origins.push({ path: ['admin', 'token'], flag: 'BREAKWATER_TOKEN' });
  }
  if (flags.redis !== undefined) {
    raw.membership = { ...mappingOf(raw.membership), store: 'redis', url: flags.redis };
    for (const key of ['store', 'url']) origins.push({ path: ['membership', key], flag: '--redis' });
  }
  const pools: Mapping = { ...mappingOf(raw.pools ?? { default: {} }) };
  for (const typed of flags.node ?? []) {
    const { node, pool = onlyName(pools), problem } = readNode(typed);
    const flag = `--node ${withoutSecrets(typed)}`;
    const known = at(pools, pool);
    const nodes = listOf(mappingOf(known).nodes);
    const path = ['pools', pool, 'nodes', nodes.length];
    origins.push({ path, flag });
    if (problem !== undefined) findings.push({ path, message: problem });
    else if (known === undefined) findings.push({ path, message: `pool '${pool}' is not in the file` });
    else pools[pool] = { ...mappingOf(known), nodes: [...nodes, node] };
  }
  if (flags.strategy !== undefined) {
    for (const name of Object.keys(pools)) {
      pools[name] = { ...mappingOf(pools[name]), strategy: flags.strategy };
      origins.push({ path: ['pools', name, 'strategy'], flag: '--strategy' });
    }
  }
  if (flags.node !== undefined || flags.strategy !== undefined) raw.pools = pools;
  return { raw, findings, flagOf: (path) => origins.find((one) => startsWith(path, one.path))?.flag };
}

/** Reads `URL[,weight=N][,id=ID][,pool=P]`. */
function readNode(typed: string): { node: Mapping; pool?: string; problem?: string } {
  const [url, ...options] = typed.split(',');
  const node: Mapping = { url };
  let pool: string | undefined;
  for (const option of options) {
    const [, key, value] = /^(weight|id|pool)=(.+)$/.exec(option) ?? [];
    if (key === undefined || value === undefined) {
      return { node, problem: `'${option}' is not weight=N, id=ID or pool=P` };
    }
    if (key === 'pool') pool = value;
    else node[key] = key === 'weight' ? Number(value) : value;
  }
  return pool === undefined ? { node } : { node, pool };
}

/** Nodes of flags go to the only pool there is, else to the one named `default`. */
function onlyName(pools: Mapping): string {
  const [first, second] = Object.keys(pools);
  return first !== undefined && second === undefined ? first : 'default';
}

function startsWith(path: Path, start: Path): boolean {
  return start.every((key, index) => path[index] === key);
}

function mappingOf(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
