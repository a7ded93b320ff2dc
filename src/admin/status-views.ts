/** How a proxy and its cluster stand, as the admin API answers. */

export interface ProxyView {
  readonly id: string;
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  readonly engine: string;
  /** Why `proxy.engine: auto` has taken no faster one. Absent: there is none, or it is not said, as of another proxy. */
  readonly engineReason?: string | undefined;
  readonly threads: number;
  readonly listeners: readonly string[];
  readonly connections: number;
  readonly startedAt: string;
  /** Only `enabled` ones take devices. `draining`: a person has taken it out. */
  readonly state: 'starting' | 'enabled' | 'draining' | 'stopping';
  /** Which of its processes: 1, and one more with each upgrade. Absent: it is not said, as of another proxy. */
  readonly generation?: number | undefined;
  /** Seconds since its last heartbeat. */
  readonly lastSeen: number;
}

export interface LostProxyView {
  readonly id: string;
  /** RFC 3339: its last heartbeat. */
  readonly since: string;
  /** Devices that it had. */
  readonly connections: number;
}

export interface StoreView {
  readonly kind: 'memory' | 'redis';
  readonly up: boolean;
  /** While it is away: what Redis or the network said. */
  readonly cause?: string | undefined;
  /** While it is away: since when, RFC 3339. */
  readonly since?: string | undefined;
}

export interface StatusView {
  readonly cluster: string;
  readonly proxy: ProxyView;
  readonly store: StoreView;
  /** Proxies that vanished in the last quarter of an hour without taking their leave, and are not back. */
  readonly lostProxies: readonly LostProxyView[];
  readonly nodes: { readonly total: number; readonly healthy: number; readonly enabled: number };
  readonly connections: number;
  readonly connectionsTotal: number;
  readonly rejectedTotal: number;
  /** Revocation lists of TLS listeners. */
  readonly crls: readonly CrlView[];
  /** Certificates that TLS listeners show. */
  readonly certificates: readonly CertificateView[];
  /** Absent: the process may open enough files for `limits.maxConnections`. */
  readonly descriptorShortage?: DescriptorShortage | undefined;
  /** While the log is not taken, as on a full disk: lines that are lost, and the error code. */
  readonly logLoss?: { readonly lines: number; readonly reason: string } | undefined;
  /** Data threads that do not answer, by number. */
  readonly silentThreads: readonly number[];
  /** Data threads that have died three times in a row, each after less than half a minute, by number. */
  readonly failingThreads: readonly number[];
  /** True while the proxy accepts devices, every data thread answers, and there is at least one node to send them to. */
  readonly ready: boolean;
}

/** One revocation list of a listener. */
export interface CrlView {
  readonly listener: string;
  /** Name of the authority. */
  readonly issuer: string;
  /** RFC 3339; absent where the list does not say when the next is due. */
  readonly nextUpdate?: string | undefined;
  /** `expired`: no device with a certificate is let in; `tolerated`: it has expired, and counts as it is. */
  readonly state: 'valid' | 'expired' | 'tolerated';
}

export interface CertificateView {
  readonly listener: string;
  readonly subject: string;
  /** RFC 3339; of its chain, the earliest. */
  readonly notAfter: string;
}

/** The process may open fewer files than `limits.maxConnections` takes. */
export interface DescriptorShortage {
  readonly limit: number;
  readonly needed: number;
  /** Devices that are taken with those that there are. */
  readonly maxConnections: number;
}
