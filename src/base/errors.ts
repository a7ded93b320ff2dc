/**
 * Coded errors. Every failure that a person or another program may see has a code from this one table,
 * says whose fault it is, and whether trying again can help.
 */

/** Who caused the failure: the device, a node, the person's configuration or command, the store, or Breakwater itself. */
type ErrorSource = 'device' | 'node' | 'user' | 'store' | 'internal';

interface ErrorKind {
  readonly source: ErrorSource;
  readonly retryable: boolean;
  /** HTTP status that the admin API answers with. */
  readonly status: number;
  /** What a command exits with: 2 where what the person typed or wrote is wrong; absent: 1. */
  readonly exit?: 2;
}

export const errorCodes = {
  CONFIG_INVALID: { source: 'user', retryable: false, status: 400, exit: 2 },
  CONFIG_UNREADABLE: { source: 'user', retryable: false, status: 400, exit: 2 },
  RELOAD_NEEDS_RESTART: { source: 'user', retryable: false, status: 409 },
  RELOAD_REFUSED: { source: 'user', retryable: true, status: 409 },
  UPGRADE_UNDER_WAY: { source: 'user', retryable: true, status: 409 },
  UPGRADE_FAILED: { source: 'user', retryable: true, status: 500 },
  USAGE: { source: 'user', retryable: false, status: 400, exit: 2 },
  ADDRESS_IN_USE: { source: 'user', retryable: true, status: 500 },
  ADDRESS_NOT_AVAILABLE: { source: 'user', retryable: false, status: 500 },
  TLS_INVALID: { source: 'user', retryable: false, status: 400 },
  NODE_UNKNOWN: { source: 'user', retryable: false, status: 404 },
  NODE_EXISTS: { source: 'user', retryable: false, status: 409 },
  NODE_INVALID: { source: 'user', retryable: false, status: 400, exit: 2 },
  POOL_UNKNOWN: { source: 'user', retryable: false, status: 404 },
  PROXY_UNKNOWN: { source: 'user', retryable: false, status: 404 },
  PROXY_SILENT: { source: 'internal', retryable: true, status: 503 },
  CLIENT_UNKNOWN: { source: 'user', retryable: false, status: 404 },
  CLIENT_AMBIGUOUS: { source: 'user', retryable: false, status: 409 },
  CLIENT_IMMOVABLE: { source: 'device', retryable: false, status: 409 },
  BAN_LIMIT: { source: 'user', retryable: false, status: 409 },
  MOVE_REFUSED: { source: 'node', retryable: true, status: 409 },
  BAN_UNKNOWN: { source: 'user', retryable: false, status: 404 },
  REBALANCE_REFUSED: { source: 'user', retryable: false, status: 409 },
  REQUEST_INVALID: { source: 'user', retryable: false, status: 400, exit: 2 },
  NOT_FOUND: { source: 'user', retryable: false, status: 404 },
  UNAUTHORIZED: { source: 'user', retryable: false, status: 401 },
  FORBIDDEN: { source: 'user', retryable: false, status: 403 },
  TOO_MANY_GUESSES: { source: 'user', retryable: true, status: 429 },
  ADMIN_BUSY: { source: 'user', retryable: true, status: 503 },
  TOO_MANY_SUBSCRIBERS: { source: 'user', retryable: true, status: 429 },
  ADMIN_UNREACHABLE: { source: 'user', retryable: true, status: 502 },
  ADMIN_TOKEN_REQUIRED: { source: 'user', retryable: false, status: 400, exit: 2 },
  ENGINE_UNAVAILABLE: { source: 'user', retryable: false, status: 500 },
  TRANSPARENT_UNAVAILABLE: { source: 'user', retryable: false, status: 500 },
  UPGRADE_UNAVAILABLE: { source: 'user', retryable: false, status: 409 },
  UPGRADE_REFUSED: { source: 'internal', retryable: false, status: 409 },
  TABLE_FULL: { source: 'user', retryable: false, status: 409 },
  NAME_UNRESOLVED: { source: 'node', retryable: true, status: 502 },
  PROBE_FAILED: { source: 'node', retryable: true, status: 502 },
  PROBE_TIMEOUT: { source: 'node', retryable: true, status: 504 },
  STORE_UNAVAILABLE: { source: 'store', retryable: true, status: 503 },
  STORE_CONFLICT: { source: 'store', retryable: true, status: 409 },
  THREAD_UNAVAILABLE: { source: 'internal', retryable: true, status: 503 },
  HANDOVER_INVALID: { source: 'internal', retryable: false, status: 500 },
  INTERNAL: { source: 'internal', retryable: false, status: 500 },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCodes;

export class BreakwaterError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retryable: boolean;
  readonly status: number;
  readonly exit: 1 | 2;

  /** `message` names the place and the remedy; it must hold no secret and no payload. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BreakwaterError';
    this.code = code;
    const kind: ErrorKind = errorCodes[code];
    this.source = kind.source;
    this.retryable = kind.retryable;
    this.status = kind.status;
    this.exit = kind.exit ?? 1;
  }
}

/** The text of anything thrown, for a log line or an error's own message. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied; let the user of this program read it',
  EISDIR: 'it is a folder',
};

/** Why a file cannot be read, in words where the reason is a common one. */
export function whyUnreadable(thrown: unknown): string {
  return unreadable[(thrown as NodeJS.ErrnoException | undefined)?.code ?? ''] ?? messageOf(thrown);
}
