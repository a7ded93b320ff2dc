import { randomBytes } from 'node:crypto';
import type { CertificateView, CrlView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Finding } from '../config/problems.ts';
import type { TlsConfig } from '../config/tls.ts';
import { TICKET_KEY_BYTES, type TlsOptions } from '../engine/tls.ts';
import { certificateViews } from './certificate-expiry.ts';
import { createCrlWatch } from './crl-watch.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';
import { type FileOwner, type FilesTold, keepFiles } from './watched-files.ts';

/** A listener as it is configured, by its number on the data threads. */
export interface TlsListener {
  readonly index: number;
  readonly url: string;
  readonly tls?: TlsConfig | undefined;
}

/** What the listeners show to devices, kept as the files are. */
export interface Certificates {
  /** Reads and checks the files of these listeners. All that it reads have the same ticket keys. */
  read(listeners: readonly TlsListener[]): Promise<TlsFiles>;
  /**
   * From now on these listeners are served by these options (in the same order): their files are watched. Returns the
   * URLs of those that were served by others before.
   */
  use(listeners: readonly TlsListener[], options: readonly (TlsOptions | undefined)[]): string[];
  /** Reads the files in use again, and takes what has changed; devices that are connected stay. */
  refresh(): Promise<readonly Finding[]>;
  /** Has every listener seal its tickets with the newest of these keys; devices that are connected stay. */
  useTicketKeys(keys: readonly Uint8Array[]): Promise<void>;
  /** The revocation lists in use, and how they are. */
  crls(): readonly CrlView[];
  /** The certificates in use. */
  views(): readonly CertificateView[];
  stop(): void;
}

export function createCertificates(
  /** Rejects where a thread refuses them. */
  update: (listenerIndex: number, tls: TlsOptions) => Promise<void>,
  log: Log,
  onTold: FilesTold,
): Certificates {
  let ticketKeys: readonly Uint8Array[] = [randomBytes(TICKET_KEY_BYTES)];
  const kept = keepFiles<TlsListener & FileOwner, TlsOptions>(
    async (owners) => {
      const { options: values, problems } = await readTlsFiles(owners, ticketKeys);
      return { values, problems };
    },
    async ({ index }, tls) => {
      await update(index, tls);
      setImmediate(() => crlWatch.look());
    },
    log,
    onTold,
  );
  const crlWatch = createCrlWatch({
    crls: () => kept.present().flatMap(([{ url }, { crl }]) => (crl === undefined ? [] : [{ url, crl }])),
    expired: () => void kept.refresh(), // sessions from before are not to be resumed
    clock: { now: Date.now },
    log,
  });
  return {
    read: (listeners) => readTlsFiles(listeners, ticketKeys),
    use(listeners, options) {
      const changed = kept.use(listeners.map(ownerOf), options).map(({ url }) => url);
      crlWatch.look();
      return changed;
    },
    refresh: kept.refresh,
    useTicketKeys: (keys) => {
      ticketKeys = keys;
      return kept.amend((tls) => ({ ...tls, ticketKeys: keys }));
    },
    crls: crlWatch.views,
    views: () => kept.present().flatMap(([{ url }, tls]) => certificateViews(url, tls)),
    stop() {
      crlWatch.stop();
      kept.stop();
    },
  };
}

function ownerOf(listener: TlsListener, at: number): TlsListener & FileOwner {
  const { index, url, tls } = listener;
  const files = (tls?.certificates ?? []).flatMap(({ cert, key }) => [cert, key]);
  for (const file of [tls?.clientCa, tls?.crl]) if (file !== undefined) files.push(file);
  return { ...listener, id: index, label: { listener: url }, path: ['listeners', at, 'tls'], files };
}
