import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { BreakwaterError } from '../../base/errors.ts';
import type { TargetTls } from '../../connection/wire.ts';
import { checkUpstream, ownsRecords, type UpstreamTls, verifying } from '../tls.ts';
import type { Libc } from './libc.ts';
import type { OpenSsl } from './openssl.ts';
import * as o from './openssl.ts';
import { addCertificate, applySettings, eachCertificate, must, nodeCiphers } from './tls-material.ts';

/** Opens the TLS sessions of links to nodes: one SSL_CTX a pool. */
export interface TlsLinks {
  /** @throws BreakwaterError TLS_INVALID; then the pool's former settings stay */
  set(pool: number, tls: UpstreamTls): void;
  /** A session that is about to shake hands as a client. @throws BreakwaterError TLS_INVALID, INTERNAL (no memory) */
  open(target: TargetTls): number;
  /** Whether records behind the handshakes of a pool are our own. */
  hasOwnRecords(pool: number): boolean;
  /** The pool's next links are opened as where nothing was ever set; sessions go on. */
  drop(pool: number): void;
  close(): void;
}

interface Pool {
  readonly context: number;
  readonly tls: UpstreamTls;
}

export function createTlsLinks(libc: Libc, ssl: OpenSsl): TlsLinks {
  const pools = new Map<number, Pool>();

  function set(pool: number, tls: UpstreamTls): Pool {
    checkUpstream(tls);
    const built = { context: build(tls), tls };
    drop(pool);
    pools.set(pool, built);
    return built;
  }

  function build(tls: UpstreamTls): number {
    const { ca, certificate, verify } = tls;
    const context = ssl.newClientContext();
    try {
      applySettings(ssl, context, nodeCiphers(), ownsRecords(tls));
      if (certificate !== undefined) addCertificate(libc, ssl, context, certificate);
      if (verify) trust(context, ca ?? rootCertificates.join('\n'));
      return context;
    } catch (error) {
      ssl.freeContext(context);
      throw error;
    } finally {
      ssl.clearErrors();
    }
  }

  function trust(context: number, ca: string): void {
    const store = ssl.certificateStore(context);
    eachCertificate(libc, ssl, ca, (certificate) => {
      must(ssl, ssl.trust(store, certificate), 'a certificate of ca is refused');
    });
    ssl.setVerify(context, o.SSL_VERIFY_PEER, 0);
  }

  function open(target: TargetTls): number {
    const { context, tls } = pools.get(target.pool) ?? set(target.pool, verifying);
    const session = ssl.open(context);
    if (session === 0) throw new BreakwaterError('INTERNAL', 'no memory for a TLS session');
    const name = tls.serverName ?? target.serverName;
    const isAddress = isIP(name) !== 0;
    if (!isAddress) ssl.setServerName(session, name); // an address is no server name (RFC 6066, 3)
    if (tls.verify) {
      const expected = isAddress ? ssl.expectAddress(session, name) : ssl.expectName(session, name);
      if (expected === 0) {
        ssl.free(session);
        must(ssl, 0, `the server name ${name} is refused`);
      }
    }
    return session;
  }

  /** Sessions hold on to their own. */
  function drop(pool: number): void {
    const old = pools.get(pool);
    if (old !== undefined) ssl.freeContext(old.context);
    pools.delete(pool);
  }

  return {
    set: (pool, tls) => void set(pool, tls),
    open,
    hasOwnRecords: (pool) => ownsRecords(pools.get(pool)?.tls ?? verifying),
    drop,
    close() {
      for (const pool of [...pools.keys()]) drop(pool);
    },
  };
}
