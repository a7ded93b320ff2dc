import type { DialFailure } from '../connection/connection-host.ts';

/** How one attempt at a node failed, from the error that ended it. */
export interface AttemptFailure {
  /** The status that the client gets if no other node answers. */
  readonly status: 400 | 502 | 504;
  readonly detail: string;
  /** The node could not be reached, which counts for its health; nothing was sent. */
  readonly dial: DialFailure | undefined;
  /** The connection ended without an answer, as an idle one does that the node closes while we begin to use it. */
  readonly isClosed: boolean;
  readonly code: string;
}

/** From the errors of connect(2). */
const dialFailures: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'local',
};
const timeouts: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);
const closed: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Errors of OpenSSL, and those of Node on certificates (tls.TLSSocket, `authorizationError`). */
function isTls(code: string): boolean {
  return /^(ERR_SSL_|ERR_TLS_|EPROTO$|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|HOSTNAME_MISMATCH|INVALID_CA)/.test(
    code,
  );
}

/** @param isSent the request had begun to be sent: the connection stood */
export function failureOf(error: unknown, isSent: boolean): AttemptFailure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  const none = { dial: undefined, isClosed: false, code };
  // Whatever the client library refuses to send says nothing of the node.
  if (/^UND_ERR_(INVALID_ARG|NOT_SUPPORTED)$/.test(code)) {
    return { status: 400, detail: 'the request cannot be passed on', ...none };
  }
  if (!isSent) {
    const dial = dialFailures[code] ?? (isTls(code) ? 'tls' : undefined);
    return { status: dial === 'timeout' ? 504 : 502, detail: 'no node can be reached', ...none, dial };
  }
  if (timeouts.has(code)) return { status: 504, detail: 'the node did not answer in time', ...none };
  const isClosed = closed.has(code);
  const detail = isClosed ? 'the node closed without an answer' : 'the node gave no proper answer';
  return { status: 502, detail, ...none, isClosed };
}
