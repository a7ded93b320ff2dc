import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type DetailedPeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { EndCause, PeerTls } from '../../connection/wire.ts';
import { type Crl, crlBlocks, isGoodBy, parseCrls } from '../crl.ts';
import type { HandshakeSlots } from '../handshake-slots.ts';
import {
  chooseGroup,
  cipherSettings,
  commonName,
  GROUPS,
  groupCertificates,
  sessionScope,
  type TlsOptions,
} from '../tls.ts';

/** The TLS handshakes of devices, by a `tls.Server` that listens nowhere. */

/** As long as OpenSSL's own servers do; Node's default is five minutes. */
const SESSION_SECONDS = 7200;
/** The connection keeps the time of a handshake; Node would not let one take longer than two minutes. */
const HANDSHAKE_TIMEOUT_MS = 2 ** 31 - 1;
/** As OpenSSL's default. */
const MAX_CHAIN = 100;

interface Handshake {
  done(socket: TLSSocket): void;
  failed(cause: EndCause): void;
}

/** The TLS handshakes of one listener: a `tls.Server` that listens nowhere is handed each accepted socket. */
export class Handshakes {
  private server: Server;
  private readonly listenerIndex: number;
  /** By the device's address, which `tls.Server` gives back with its own socket. */
  private readonly pending = new Map<string, { readonly handshake: Handshake; readonly socket: Socket }>();
  private readonly slots: HandshakeSlots<Socket>;

  /** @throws BreakwaterError TLS_INVALID */
  constructor(listenerIndex: number, tls: TlsOptions, slots: HandshakeSlots<Socket>) {
    this.listenerIndex = listenerIndex;
    this.slots = slots;
    this.server = this.serverFor(tls);
  }

  /** @throws BreakwaterError TLS_INVALID; then the former options stay */
  update(tls: TlsOptions): void {
    this.server = this.serverFor(tls);
  }

  /** Of a socket that has taken a slot. Answered at most once; one that closes is told by its own `close`. */
  begin(socket: Socket, handshake: Handshake): void {
    const key = addressOf(socket);
    this.pending.set(key, { handshake, socket });
    socket.once('close', () => this.forget(key, socket));
    socket.allowHalfOpen = false; // a device that leaves before it is secured has left
    this.server.emit('connection', socket);
  }

  private serverFor(tls: TlsOptions): Server {
    const groups = groupCertificates(tls);
    const isAsked = tls.clientAuth !== 'none';
    const { suites, list, minVersion } = cipherSettings(tls);
    const { crl } = tls;
    const isTolerated = crl?.expired === 'tolerate' && crl.isExpired;
    const settings = {
      minVersion,
      ciphers: `${suites}:${list}`,
      honorCipherOrder: true,
      ecdhCurve: GROUPS,
      sessionIdContext: sessionScope(this.listenerIndex, tls),
      sessionTimeout: SESSION_SECONDS,
      ticketKeys: Buffer.from(tls.ticketKeys[0] ?? []),
      ...(isAsked && { ca: tls.clientCa }),
      ...(isAsked && crl && !isTolerated && { crl: crlBlocks(crl.pem) }),
    } satisfies SecureContextOptions;
    const options = groups.map(({ certificates }) => ({
      ...settings,
      cert: certificates.map(({ cert }) => cert),
      key: certificates.map(({ key }) => key),
    }));
    const contexts = options.map((each) => createSecureContext(each));
    const server = createServer({
      ...options[0],
      ...(tls.alpn.length > 0 && { ALPNProtocols: [...tls.alpn] }),
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      requestCert: isAsked,
      rejectUnauthorized: tls.clientAuth === 'require',
      ...(contexts.length > 1 && {
        SNICallback: (name: string, choose: (error: null, context?: SecureContext) => void) =>
          choose(null, contexts[chooseGroup(groups, name)]),
      }),
    });
    // OpenSSL would take no list that has expired: those are looked up here.
    const expiredCrls = crl && isTolerated ? parseCrls(crl.pem) : undefined;
    server.on('secureConnection', (socket) => this.secured(socket, expiredCrls));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const cause = error.code === 'ECONNRESET' ? 'reset' : 'tls';
      this.take(socket)?.failed(cause);
    });
    return server;
  }

  private secured(socket: TLSSocket, expiredCrls: readonly Crl[] | undefined): void {
    const handshake = this.take(socket);
    if (handshake === undefined) socket.destroy();
    else if (!isGood(socket, expiredCrls)) {
      socket.destroy();
      handshake.failed('tls');
    } else {
      socket.allowHalfOpen = true;
      handshake.done(socket);
    }
  }

  private take(socket: TLSSocket): Handshake | undefined {
    const key = addressOf(socket);
    const pending = this.pending.get(key);
    if (pending !== undefined) this.forget(key, pending.socket);
    return pending?.handshake;
  }

  private forget(key: string, socket: Socket): void {
    this.pending.delete(key);
    this.slots.release(socket);
  }
}

/** Node lets a bad certificate pass where none would do. */
function isGood(socket: TLSSocket, expiredCrls: readonly Crl[] | undefined): boolean {
  if (socket.getPeerX509Certificate() === undefined) return true;
  return socket.authorized && (expiredCrls === undefined || isGoodBy(expiredCrls, chainOf(socket)));
}

/** The peer's own certificate, and those up to its root. */
function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(at.raw);
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  return chain;
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What a TLS socket has settled. */
export function describe(socket: TLSSocket): PeerTls {
  const certificate = socket.getPeerX509Certificate();
  const serverName = (socket as { servername?: string | false }).servername;
  return {
    version: socket.getProtocol() as PeerTls['version'],
    cipher: socket.getCipher().name,
    serverName: serverName || undefined,
    alpn: socket.alpnProtocol || undefined,
    clientCertificateCn: certificate === undefined ? undefined : commonName(certificate),
  };
}
