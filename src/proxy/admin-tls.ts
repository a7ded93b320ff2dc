/** The certificate of the admin address, and who may show one there. */

import type { CertificateView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import { configError } from '../config/source.ts';
import type { TlsConfig } from '../config/tls.ts';
import type { TlsOptions } from '../engine/tls.ts';
import type { BreakwaterEvent } from '../journal/event.ts';
import { certificateViews } from './certificate-expiry.ts';
import { createCertificateWatch } from './certificate-watch.ts';
import { readAdminTlsFiles } from './tls-files.ts';
import { type FileOwner, keepFiles } from './watched-files.ts';

interface AdminAddress extends FileOwner {
  readonly url: string;
  readonly tls: TlsConfig | undefined;
}

/** What the admin address shows to those who connect, kept as the files are. */
export interface AdminTls {
  /** Reads what is to be used next. @throws ConfigError with all that is wrong with the files */
  prepare(config: Config): Promise<TlsOptions | undefined>;
  /** From now on what was prepared last is in use: its files are watched. Returns the URL, where it had others before. */
  use(): string[];
  views(): readonly CertificateView[];
  stop(): void;
}

/** @param serve has the server go by what the files say now; throws where it refuses that */
export function createAdminTls(
  serve: (tls: TlsOptions) => void,
  emit: (event: BreakwaterEvent) => void,
  log: Log,
): AdminTls {
  let prepared: { owner: AdminAddress; options: TlsOptions | undefined } | undefined;
  const kept = keepFiles<AdminAddress, TlsOptions>(
    async (owners) => {
      const read = await Promise.all(owners.map(({ tls }) => readAdminTlsFiles(tls)));
      return {
        values: read.map(({ options }) => options),
        problems: read.flatMap(({ problems }) => problems),
      };
    },
    async (_owner, tls) => serve(tls),
    log,
    ({ listener = '' }, cause) => {
      const state = cause === undefined ? 'changed' : 'refused';
      emit({ type: 'certificate', at: new Date().toISOString(), subject: listener, state, cause });
      watch.look();
    },
  );
  const views = () => kept.present().flatMap(([{ url }, tls]) => certificateViews(url, tls));
  const watch = createCertificateWatch({ certificates: views, emit, clock: { now: Date.now }, log });
  return {
    async prepare(config) {
      const { url, tls } = config.admin;
      const { options, problems } = await readAdminTlsFiles(tls);
      if (problems.length > 0) throw configError(config, problems);
      prepared = { owner: ownerOf(url, tls), options };
      return options;
    },
    use() {
      if (prepared === undefined) return [];
      const { owner, options } = prepared;
      const changed = kept.use([owner], [options]);
      if (changed.length > 0 && options !== undefined) serve(options);
      watch.look();
      return changed.map(({ url }) => url);
    },
    views,
    stop() {
      watch.stop();
      kept.stop();
    },
  };
}

function ownerOf(url: string, tls: TlsConfig | undefined): AdminAddress {
  const files = (tls?.certificates ?? []).flatMap(({ cert, key }) => [cert, key]);
  if (tls?.clientCa !== undefined) files.push(tls.clientCa);
  return { id: 'admin', label: { listener: url }, path: ['admin', 'tls'], files, url, tls };
}
