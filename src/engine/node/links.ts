/** The TLS settings of pools, and the sessions that make later handshakes with their nodes short. */

import { isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { BreakwaterError } from '../../base/errors.ts';
import { type TargetTls, TLS_REASON } from '../../connection/wire.ts';
import { checkUpstream, type UpstreamTls, verifying } from '../tls.ts';

interface Pool {
  readonly context: SecureContext;
  readonly tls: UpstreamTls;
}

/** The TLS sessions of links to nodes. */
export class Links {
  private readonly pools = new Map<number, Pool>();

  /** @throws BreakwaterError TLS_INVALID; then the pool's former settings stay */
  update(pool: number, tls: UpstreamTls): Pool {
    checkUpstream(tls);
    const { ca, certificate } = tls;
    const context = createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate.cert, key: certificate.key }),
    });
    const built = { context, tls };
    this.pools.set(pool, built);
    return built;
  }

  /** The pool's next links are opened as where nothing was ever set. */
  drop(pool: number): void {
    this.pools.delete(pool);
  }

  /** Begins to shake hands on a connected socket. */
  secure(socket: Socket, target: TargetTls): TLSSocket {
    const { context, tls } = this.pools.get(target.pool) ?? this.update(target.pool, verifying);
    const name = tls.serverName ?? target.serverName;
    return connect({
      socket,
      secureContext: context,
      servername: isIP(name) === 0 ? name : '', // an address is no server name (RFC 6066, 3)
      rejectUnauthorized: tls.verify,
      checkServerIdentity: (_asked, certificate) => checkServerIdentity(name, certificate),
    });
  }
}

/** Why a dial has failed, as `WireEvents.linkFailed` wants it. */
export function reasonOf(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
  const { code = 'EUNKNOWN', message } = error;
  if (error instanceof BreakwaterError) return TLS_REASON + message;
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return TLS_REASON + (error.reason ?? message);
  return /^E[A-Z0-9]+$/.test(code) ? code : `${TLS_REASON}certificate verify failed: ${message}`;
}
