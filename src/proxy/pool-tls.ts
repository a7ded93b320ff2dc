/** Reads the TLS files that connections to nodes use, and gives workers new ones when the files change. */

import type { Log } from '../base/log.ts';
import type { Config, PoolConfig } from '../config/config.ts';
import type { Finding } from '../config/problems.ts';
import { configError } from '../config/source.ts';
import type { UpstreamTls } from '../engine/tls.ts';
import { expiryOf } from './certificate-expiry.ts';
import type { UsedCertificate } from './certificate-watch.ts';
import { readUpstreamTlsFiles, type UpstreamTlsFiles } from './tls-files.ts';
import { type FileOwner, type FilesTold, WatchedFiles } from './watched-files.ts';

type Pool = Pick<PoolConfig, 'name' | 'upstream'>;

interface PoolTlsParts {
  /** Gives the workers what a pool's files say; rejects where a worker refuses it. */
  readonly apply: (pool: string, tls: UpstreamTls) => Promise<void>;
  readonly log: Log;
  readonly onTold: FilesTold;
}

/** How each pool's nodes are reached by TLS, kept as the files are. */
export class PoolTls {
  private readonly log: Log;
  private readonly kept: WatchedFiles<Pool & FileOwner, UpstreamTls>;
  private readonly inUse = new Map<string, UpstreamTls>();
  /** Of pools that are gone: their nodes leave last, and are probed until then. */
  private former: ReadonlyMap<string, UpstreamTls> = new Map();
  private names: ReadonlySet<string> = new Set();
  private prepared: { pools: readonly Pool[]; options: UpstreamTlsFiles['options'] } = {
    pools: [],
    options: [],
  };

  constructor({ apply, log, onTold }: PoolTlsParts) {
    const { inUse } = this;
    this.log = log;
    this.kept = new WatchedFiles({
      async read(owners) {
        const { options: values, problems } = await readUpstreamTlsFiles(owners);
        return { values, problems };
      },
      async update({ name }, tls) {
        const before = inUse.get(name);
        inUse.set(name, tls);
        try {
          await apply(name, tls);
        } catch (error) {
          if (before !== undefined) inUse.set(name, before);
          throw error;
        }
      },
      ...{ log, onTold },
    });
  }

  /** Reads what is to be used next. @throws ConfigError with all that is wrong with the files that pools name */
  async prepare(config: Config): Promise<void> {
    const { pools } = config;
    const { options, problems } = await readUpstreamTlsFiles(pools);
    if (problems.length > 0) throw configError(config, problems);
    this.prepared = { pools, options };
  }

  /** Puts into use what was prepared last: its files are watched. */
  use(): void {
    const { inUse } = this;
    const { pools, options } = this.prepared;
    this.former = new Map(inUse);
    this.names = new Set(pools.map(({ name }) => name));
    inUse.clear();
    for (const [at, { name }] of pools.entries()) {
      const tls = options[at];
      if (tls === undefined) continue;
      inUse.set(name, tls);
      if (!tls.verify) this.log.warn({ pool: name }, 'certificates of nodes are not verified');
    }
    this.kept.use(pools.map(ownerOf), options);
  }

  /** Undefined for a pool that says nothing of it. */
  of(pool: string): UpstreamTls | undefined {
    return (this.names.has(pool) ? this.inUse : this.former).get(pool);
  }

  /** The certificates that are shown to nodes. */
  certificates(): readonly UsedCertificate[] {
    return this.kept
      .present()
      .flatMap(([{ name: pool }, { certificate }]) =>
        certificate === undefined ? [] : [{ pool, ...expiryOf(certificate.cert) }],
      );
  }

  refresh(): Promise<readonly Finding[]> {
    return this.kept.refresh();
  }

  stop(): void {
    this.kept.stop();
  }
}

function ownerOf(pool: Pool): Pool & FileOwner {
  const { name, upstream } = pool;
  const { ca, certificate } = upstream.tls ?? {};
  const files = [ca, certificate?.cert, certificate?.key].filter((file) => file !== undefined);
  return { ...pool, id: name, label: { pool: name }, path: ['pools', name, 'upstream', 'tls'], files };
}
