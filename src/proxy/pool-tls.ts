/** Reads the TLS files that connections to nodes use, and gives workers new ones when the files change. */

import type { Log } from '../base/log.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import type { Finding } from '../config/problems.ts';
import { configError } from '../config/source.ts';
import type { UpstreamTls } from '../engine/tls.ts';
import { expiryOf } from './certificate-expiry.ts';
import type { UsedCertificate } from './certificate-watch.ts';
import { readUpstreamTlsFiles, type UpstreamTlsFiles } from './tls-files.ts';
import { type FileOwner, type FilesTold, keepFiles } from './watched-files.ts';

type Pool = Pick<PoolConfig, 'name' | 'upstream'>;

/** How each pool's nodes are reached by TLS, kept as the files are. */
export interface PoolTls {
  /** Reads what is to be used next. @throws ConfigError with all that is wrong with the files that pools name */
  prepare(config: Config): Promise<void>;
  /** Puts into use what was prepared last: its files are watched. */
  use(): void;
  /** Undefined for a pool that says nothing of it. */
  of(pool: string): UpstreamTls | undefined;
  /** The certificates that are shown to nodes. */
  certificates(): readonly UsedCertificate[];
  refresh(): Promise<readonly Finding[]>;
  stop(): void;
}

/** `apply` gives the workers what a pool's files say; it rejects where a worker refuses it. */
export function createPoolTls(
  apply: (pool: string, tls: UpstreamTls) => Promise<void>,
  log: Log,
  onTold: FilesTold,
): PoolTls {
  const inUse = new Map<string, UpstreamTls>();
  /** Of pools that are gone: their nodes leave last, and are probed until then. */
  let former: ReadonlyMap<string, UpstreamTls> = new Map();
  let names: ReadonlySet<string> = new Set();
  let prepared: { pools: readonly Pool[]; options: UpstreamTlsFiles['options'] } = { pools: [], options: [] };
  const kept = keepFiles<Pool & FileOwner, UpstreamTls>(
    async (owners) => {
      const { options: values, problems } = await readUpstreamTlsFiles(owners);
      return { values, problems };
    },
    async ({ name }, tls) => {
      const before = inUse.get(name);
      inUse.set(name, tls);
      try {
        await apply(name, tls);
      } catch (error) {
        if (before !== undefined) inUse.set(name, before);
        throw error;
      }
    },
    log,
    onTold,
  );
  return {
    async prepare(config) {
      const { pools } = config;
      const { options, problems } = await readUpstreamTlsFiles(pools);
      if (problems.length > 0) throw configError(config, problems);
      prepared = { pools, options };
    },
    use() {
      const { pools, options } = prepared;
      former = new Map(inUse);
      names = new Set(pools.map(({ name }) => name));
      inUse.clear();
      for (const [at, { name }] of pools.entries()) {
        const tls = options[at];
        if (tls === undefined) continue;
        inUse.set(name, tls);
        if (!tls.verify) log.warn({ pool: name }, 'certificates of nodes are not verified');
      }
      kept.use(pools.map(ownerOf), options);
    },
    of: (pool) => (names.has(pool) ? inUse : former).get(pool),
    certificates: () =>
      kept
        .present()
        .flatMap(([{ name: pool }, { certificate }]) =>
          certificate === undefined ? [] : [{ pool, ...expiryOf(certificate.cert) }],
        ),
    refresh: kept.refresh,
    stop: kept.stop,
  };
}

function ownerOf(pool: Pool): Pool & FileOwner {
  const { name, upstream } = pool;
  const { ca, certificate } = upstream.tls ?? {};
  const files = [ca, certificate?.cert, certificate?.key].filter((file) => file !== undefined);
  return { ...pool, id: name, label: { pool: name }, path: ['pools', name, 'upstream', 'tls'], files };
}
