import { randomBytes } from 'node:crypto';
import type { CertificateView, CrlView } from '../admin/backend.ts';
import type { Log } from '../base/log.ts';
import type { Finding } from '../config/problems.ts';
import type { TlsConfig } from '../config/tls.ts';
import { TICKET_KEY_BYTES, type TlsOptions } from '../engine/tls.ts';
import { certificateViews } from './certificate-expiry.ts';
import { CrlWatch } from './crl-watch.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';
import { type FileOwner, type FilesTold, WatchedFiles } from './watched-files.ts';

/** A listener as it is configured, by its number on the data threads. */
export interface TlsListener {
  readonly index: number;
  readonly url: string;
  readonly tls?: TlsConfig | undefined;
}

interface CertificatesParts {
  /** Rejects where a thread refuses them. */
  readonly update: (listenerIndex: number, tls: TlsOptions) => Promise<void>;
  readonly log: Log;
  readonly onTold: FilesTold;
}

/** What the listeners show to devices, kept as the files are. */
export class Certificates {
  private readonly kept: WatchedFiles<TlsListener & FileOwner, TlsOptions>;
  private readonly crlWatch: CrlWatch;
  private ticketKeys: readonly Uint8Array[] = [randomBytes(TICKET_KEY_BYTES)];

  constructor({ update, log, onTold }: CertificatesParts) {
    this.kept = new WatchedFiles({
      read: async (owners) => {
        const { options: values, problems } = await readTlsFiles(owners, this.ticketKeys);
        return { values, problems };
      },
      update: async ({ index }, tls) => {
        await update(index, tls);
        setImmediate(() => this.crlWatch.look());
      },
      ...{ log, onTold },
    });
    this.crlWatch = new CrlWatch({
      crls: () =>
        this.kept.present().flatMap(([{ url }, { crl }]) => (crl === undefined ? [] : [{ url, crl }])),
      expired: () => void this.refresh(), // sessions from before are not to be resumed
      clock: { now: Date.now },
      log,
    });
  }

  /** Reads and checks the files of these listeners. All that it reads have the same ticket keys. */
  read(listeners: readonly TlsListener[]): Promise<TlsFiles> {
    return readTlsFiles(listeners, this.ticketKeys);
  }

  /**
   * From now on these listeners are served by these options (in the same order): their files are watched. Returns the
   * URLs of those that were served by others before.
   */
  use(listeners: readonly TlsListener[], options: readonly (TlsOptions | undefined)[]): string[] {
    const changed = this.kept.use(listeners.map(ownerOf), options).map(({ url }) => url);
    this.crlWatch.look();
    return changed;
  }

  /** Reads the files in use again, and takes what has changed; devices that are connected stay. */
  refresh(): Promise<readonly Finding[]> {
    return this.kept.refresh();
  }

  /** Has every listener seal its tickets with the newest of these keys; devices that are connected stay. */
  useTicketKeys(keys: readonly Uint8Array[]): Promise<void> {
    this.ticketKeys = keys;
    return this.kept.amend((tls) => ({ ...tls, ticketKeys: keys }));
  }

  /** The revocation lists in use, and how they are. */
  crls(): readonly CrlView[] {
    return this.crlWatch.views();
  }

  /** The certificates in use. */
  views(): readonly CertificateView[] {
    return this.kept.present().flatMap(([{ url }, tls]) => certificateViews(url, tls));
  }

  stop(): void {
    this.crlWatch.stop();
    this.kept.stop();
  }
}

function ownerOf(listener: TlsListener, at: number): TlsListener & FileOwner {
  const { index, url, tls } = listener;
  const files = (tls?.certificates ?? []).flatMap(({ cert, key }) => [cert, key]);
  for (const file of [tls?.clientCa, tls?.crl]) if (file !== undefined) files.push(file);
  return { ...listener, id: index, label: { listener: url }, path: ['listeners', at, 'tls'], files };
}
