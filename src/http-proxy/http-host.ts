import type { UpstreamConfig } from '../config/config.ts';
import type { HttpLimits } from '../config/http.ts';
import type { DialFailure } from '../connection/connection-host.ts';
import type { Target } from '../connection/wire.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';
import type { UpstreamTls } from '../engine/tls.ts';
import type { CookiePersistence } from '../policy/cookie-affinity/cookie.ts';
import type { RuleInput } from '../policy/routing/rules.ts';

/** What the HTTP proxy asks of whoever runs it: where requests go, and who counts them. */

/** A pool, as rules have chosen it for one request. */
export interface HttpRoute {
  readonly cookies: CookiePersistence | undefined;
  readonly upstream: UpstreamConfig;
  /** Of nodes that are reached by TLS; the same object as long as it is the same. */
  readonly tls: UpstreamTls;
  /** Nodes best first; before all others the first of the preferred ones that takes requests. */
  candidates(sourceAddress: string, preferred: readonly string[]): Iterator<Target, undefined>;
}

export interface HttpRefusal {
  readonly status: number;
  readonly detail: string;
}

/** One request that has ended, for metrics and the access log. */
type RequestRecord = Omit<Extract<WorkerEvent, { type: 'requested' }>, 'type' | 'listener'>;

/** What one listener's requests ask of their worker, and tell it. */
export interface HttpHost {
  readonly limits: HttpLimits;
  /** From accept to a whole head, TLS included. */
  readonly headTimeoutMs: number;
  /** TLS handshakes of a listener in progress at one time. */
  readonly maxHandshakes: number;
  now(): number;
  /** A new connection; false: it is to be reset. `left` follows exactly once for each that is in. */
  admit(address: string): boolean;
  left(address: string): void;
  /** Admitted connections have sent and got so many bytes since the last call. */
  carried(bytesFromDevice: number, bytesToDevice: number): void;
  /** A connection was reset before it was in, or in TLS; `reason` is a metric label. */
  refused(reason: string): void;
  /** Is this address a trusted proxy, whose word about the device is believed? */
  isTrusted(address: string): boolean;
  route(asked: RuleInput): HttpRoute | HttpRefusal;
  /**
   * Counts one request, or one WebSocket, at a node, from before it is dialled. Returns false where the node has as
   * many as it may.
   */
  take(target: Target): boolean;
  release(target: Target): void;
  dialFailed(target: Target, failure: DialFailure, detail: string): void;
  /** The node answered `ms` after the request began to be sent to it. */
  answered(target: Target, ms: number): void;
  requested(record: RequestRecord): void;
  fault(error: unknown): void;
}
