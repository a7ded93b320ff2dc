/** The certificate of the admin address, and who may show one there. */

import type { CertificateView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { configError } from '../config/source.ts';
import type { TlsConfig } from '../config/tls.ts';
import type { TlsOptions } from '../engine/tls.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import { certificateViews } from './certificate-expiry.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { readAdminTlsFiles } from './tls-files.ts';
import { type FileOwner, WatchedFiles } from './watched-files.ts';

interface AdminAddress extends FileOwner {
  readonly url: string;
  readonly tls: TlsConfig | undefined;
}

interface AdminTlsParts {
  /** Has the server go by what the files say now; throws where it refuses that. */
  readonly serve: (tls: TlsOptions) => void;
  readonly emit: (event: BreakwaterEvent) => void;
  readonly log: Log;
}

/** What the admin address shows to those who connect, kept as the files are. */
export class AdminTls {
  private readonly serve: AdminTlsParts['serve'];
  private readonly kept: WatchedFiles<AdminAddress, TlsOptions>;
  private readonly watch: CertificateWatch;
  private prepared: { owner: AdminAddress; options: TlsOptions | undefined } | undefined;

  constructor({ serve, emit, log }: AdminTlsParts) {
    this.serve = serve;
    this.kept = new WatchedFiles({
      async read(owners) {
        const read = await Promise.all(owners.map(({ tls }) => readAdminTlsFiles(tls)));
        return {
          values: read.map(({ options }) => options),
          problems: read.flatMap(({ problems }) => problems),
        };
      },
      update: async (_owner, tls) => serve(tls),
      log,
      onTold: ({ listener = '' }, cause) => {
        const state = cause === undefined ? 'changed' : 'refused';
        emit({ type: 'certificate', at: new Date().toISOString(), subject: listener, state, cause });
        this.watch.look();
      },
    });
    this.watch = new CertificateWatch({
      certificates: () => this.views(),
      ...{ emit, clock: { now: Date.now }, log },
    });
  }

  /** Reads what is to be used next. @throws ConfigError with all that is wrong with the files */
  async prepare(config: Config): Promise<TlsOptions | undefined> {
    const { url, tls } = config.admin;
    const { options, problems } = await readAdminTlsFiles(tls);
    if (problems.length > 0) throw configError(config, problems);
    this.prepared = { owner: ownerOf(url, tls), options };
    return options;
  }

  /** From now on what was prepared last is in use: its files are watched. Returns the URL, where it had others before. */
  use(): string[] {
    if (this.prepared === undefined) return [];
    const { owner, options } = this.prepared;
    const changed = this.kept.use([owner], [options]);
    if (changed.length > 0 && options !== undefined) this.serve(options);
    this.watch.look();
    return changed.map(({ url }) => url);
  }

  views(): readonly CertificateView[] {
    return this.kept.present().flatMap(([{ url }, tls]) => certificateViews(url, tls));
  }

  stop(): void {
    this.watch.stop();
    this.kept.stop();
  }
}

function ownerOf(url: string, tls: TlsConfig | undefined): AdminAddress {
  const files = (tls?.certificates ?? []).flatMap(({ cert, key }) => [cert, key]);
  if (tls?.clientCa !== undefined) files.push(tls.clientCa);
  return { id: 'admin', label: { listener: url }, path: ['admin', 'tls'], files, url, tls };
}
