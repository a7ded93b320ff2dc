/** What every kind of probe has in common: its target, its limits, and its errors. */

import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { NodeAddresses } from '../nodes/addresses.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { type Endpoint, isSecure, parseNodeUrl, parseProbeUrl } from '../nodes/url.ts';
import { encodeProxyV1, encodeProxyV2, noV2Fields } from '../protocol/proxy-protocol/encode.ts';
import type { Endpoint as SocketEnd } from '../protocol/proxy-protocol/header.ts';

export type ProbeName = 'tcp' | 'http' | 'mqtt';

export interface ProbeTarget {
  readonly nodeId: string;
  /** Name or IP literal. */
  readonly host: string;
  readonly port: number;
  /** Where the host is reached; absent: the system is asked. */
  readonly addresses?: NodeAddresses | undefined;
  /** What `http` asks for; the others do not look at it. */
  readonly path: string;
  /** The PROXY protocol header that the node expects of every connection; sent before all else. */
  readonly header?: ProbeHeader | undefined;
  /** Absent: without TLS. */
  readonly tls?: ProbeTls | undefined;
}

/** Of a connection from our own address to the node's. */
type ProbeHeader = (own: SocketEnd, node: SocketEnd) => Uint8Array;

/** PEM texts. */
export interface ProbeTls {
  /** Absent: the authorities that Node.js comes with. */
  readonly ca?: string | undefined;
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
  /** Name or IP literal that the certificate must be for. */
  readonly serverName: string;
  readonly verify: boolean;
}

export interface ProbeLimits {
  /** From the start to the verdict, name resolution included. */
  readonly timeoutMs: number;
  /** Ends the probe early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One active health check: resolves when the node serves.
 * @throws BreakwaterError PROBE_FAILED, PROBE_TIMEOUT; the message of its `cause` is the bare reason (`ECONNREFUSED`)
 */
export type Probe = (target: ProbeTarget, limits: ProbeLimits) => Promise<void>;

/**
 * Where a node is probed: at its `probeUrl` where it has one, else at the node itself.
 * @param path what to ask for when the probe URL names no path
 * @param proxyProtocol what the node expects of those who connect where devices do
 * @param tls how the nodes of the pool are reached by TLS; the server name may be left to each node
 * @throws BreakwaterError NODE_INVALID
 */
export function probeTarget(
  node: Pick<NodeSpec, 'id' | 'url' | 'probeUrl'>,
  path: string,
  proxyProtocol: 'none' | 'v1' | 'v2' = 'none',
  tls: Partial<ProbeTls> = {},
): ProbeTarget {
  const itself = parseNodeUrl(node.url);
  const own: Endpoint & { path?: string } =
    node.probeUrl === undefined ? itself : parseProbeUrl(node.probeUrl);
  const ownPath = own.path === undefined || own.path === '/' ? path : own.path;
  const isItself = own.host === itself.host && own.port === itself.port;
  const header = isItself ? headers[proxyProtocol] : undefined;
  const { nodeId, host, port } = { nodeId: node.id, ...own };
  if (!isSecure(node.probeUrl ?? node.url)) return { nodeId, host, port, path: ownPath, header };
  const serverName = tls.serverName ?? host;
  return { nodeId, host, port, path: ownPath, header, tls: { verify: true, ...tls, serverName } };
}

/**
 * Nobody stands behind a probe, and it says so by its own address, as any client's. LOCAL and UNKNOWN would be the
 * standard's words, but not every receiver takes them: EMQX's listener swallows what follows a LOCAL without addresses.
 * Vectors tell of devices; receivers with small buffers (nginx before 1.23) cannot take many.
 */
const headers: Readonly<Record<'none' | 'v1' | 'v2', ProbeHeader | undefined>> = {
  none: undefined,
  v1: (source, destination) => encodeProxyV1({ source, destination }),
  v2: (source, destination) => encodeProxyV2({ source, destination }, noV2Fields),
};

/** Ends an attempt: without a failure the node serves. Only the first call counts. */
type Finish = (failure?: Error) => void;

/**
 * Runs one attempt within its bounds of time and signal.
 * @param begin opens the socket and returns what closes it, which is called once, whatever the verdict
 */
export function attempt(
  name: ProbeName,
  target: ProbeTarget,
  { timeoutMs, signal }: ProbeLimits,
  begin: (finish: Finish) => () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(probeError('PROBE_FAILED', name, target, new Error('aborted')));
    let finished = false;
    let close = () => {};
    const finish = (failure?: Error, code: 'PROBE_FAILED' | 'PROBE_TIMEOUT' = 'PROBE_FAILED') => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      close();
      if (failure) reject(probeError(code, name, target, failure));
      else resolve();
    };
    const abort = () => finish(new Error('aborted'));
    const expire = () => finish(new Error(`no answer within ${timeoutMs} ms`), 'PROBE_TIMEOUT');
    // After a thread was held up, the timer is looked at before the answer that has come meanwhile.
    const timer = setTimeout(() => setImmediate(expire), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      close = begin((failure) => finish(failure));
    } catch (error) {
      finish(error instanceof Error ? error : new Error(messageOf(error))); // such as a path that is not one
    }
  });
}

/** Why a probe failed, such as `ECONNREFUSED`: its message names the node and the address too. */
export function reasonOf(thrown: unknown): string {
  return messageOf(thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown);
}

function probeError(
  code: 'PROBE_FAILED' | 'PROBE_TIMEOUT',
  name: ProbeName,
  { nodeId, host, port }: ProbeTarget,
  failure: Error,
): BreakwaterError {
  const reason = 'code' in failure ? String(failure.code) : messageOf(failure);
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const cause = new Error(reason, { cause: failure });
  return new BreakwaterError(code, `${name} probe of node ${nodeId} (${address}): ${reason}`, { cause });
}
