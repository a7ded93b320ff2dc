import type { ProxyFault } from './result.ts';

/** What a listener does with PROXY protocol headers. */
type ProxyProtocolMode = 'off' | 'accept' | 'require';

/**
 * What to do with a new connection: `read` a header before anything else; `peek`: there may be one, and bytes that are
 * none (`no-header`) are the device's own; `skip`: whatever comes is the device's own; `refuse` it. Only a trusted
 * proxy's header is ever looked at, because whoever may send one chooses the address that rules and limits see.
 */
export type HeaderExpectation = 'read' | 'peek' | 'skip' | 'refuse';

export function expectHeader(mode: ProxyProtocolMode, isTrusted: boolean): HeaderExpectation {
  if (mode === 'off') return 'skip';
  if (mode === 'accept') return isTrusted ? 'peek' : 'skip';
  return isTrusted ? 'read' : 'refuse';
}

/**
 * Why a connection is reset for its header: a fault in it; `untrusted`: it comes from elsewhere than a trusted proxy;
 * `timeout`: no whole header in time; `too-many`: so many others still owe theirs.
 */
export type HeaderRefusal = ProxyFault | 'untrusted' | 'timeout' | 'too-many';

/** Labels of the metric. */
export const headerRefusalLabels = [
  ...['proxy-no-header', 'proxy-malformed', 'proxy-too-long', 'proxy-checksum'],
  ...['proxy-untrusted', 'proxy-timeout', 'proxy-too-many'],
] as const satisfies readonly `proxy-${HeaderRefusal}`[];

/** Which PROXY protocol headers a listener takes. Structured-cloneable. */
export interface ProxyProtocolOptions {
  readonly mode: 'accept' | 'require';
  /** Addresses and CIDR blocks of the proxies whose headers are believed. */
  readonly trusted: readonly string[];
  /** From accept to the whole header. */
  readonly timeoutMs: number;
}
