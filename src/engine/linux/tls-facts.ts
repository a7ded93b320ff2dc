import { X509Certificate } from 'node:crypto';
import type { Peer, PeerTls } from '../../connection/wire.ts';
import type { Endpoint } from '../../protocol/proxy-protocol/header.ts';
import { type AeadCipher, cipherOfSuite, type HashName } from '../../protocol/tls-record/suites.ts';
import { commonName } from '../tls.ts';
import type { Libc, Pinned } from './libc.ts';
import type { OpenSsl } from './openssl.ts';

/** What the handshake of a device has settled, for people and for rules. */

/** What a suite says by itself. */
export interface SuiteFacts {
  readonly version: PeerTls['version'];
  /** OpenSSL's name. */
  readonly name: string;
  /** Undefined where its records are none that we could seal. */
  readonly cipher: AeadCipher | undefined;
  /** Of TLS 1.2: that of its pseudorandom function. */
  readonly hash: HashName;
}

/** ALPN names are of 255 bytes at most (RFC 7301, 3.1). */
const NAME_BYTES_MAX = 255;

/** Looks it up in sessions. Devices that have settled the same share one object. */
export class TlsFacts {
  private readonly libc: Libc;
  private readonly ssl: OpenSsl;
  private readonly supports: (cipher: number) => boolean;
  private readonly out: Pinned;
  private readonly name: Pinned;
  /** By OpenSSL's address of the suite, which is one for all sessions: there are a few dozen. */
  private readonly suites = new Map<number, SuiteFacts>();
  private last: PeerTls | undefined;

  constructor(libc: Libc, ssl: OpenSsl, supports: (cipher: number) => boolean) {
    this.libc = libc;
    this.ssl = ssl;
    this.supports = supports;
    this.out = libc.pin(16);
    this.name = libc.pin(NAME_BYTES_MAX);
  }

  /** Of a session whose handshake is done. */
  suiteOf(session: number): SuiteFacts {
    const address = this.ssl.suite(session);
    let found = this.suites.get(address);
    if (found === undefined) {
      const name = this.ssl.suiteName(address);
      const cipher = cipherOfSuite(name);
      found = {
        version: name.startsWith('TLS_') ? 'TLSv1.3' : 'TLSv1.2',
        name,
        cipher: cipher !== undefined && this.supports(cipher.number) ? cipher : undefined,
        hash: name.endsWith('SHA384') ? 'sha384' : 'sha256',
      };
      this.suites.set(address, found);
    }
    return found;
  }

  of(session: number, { version, name: cipher }: SuiteFacts): PeerTls {
    const { ssl, last } = this;
    const serverName = ssl.serverName(session) ?? undefined;
    const alpn = this.alpnOf(session);
    const clientCertificateCn = this.clientCn(session);
    if (
      last?.cipher === cipher &&
      last.serverName === serverName &&
      last.alpn === alpn &&
      last.clientCertificateCn === clientCertificateCn
    )
      return last;
    this.last = { version, cipher, serverName, alpn, clientCertificateCn };
    return this.last;
  }

  private alpnOf(session: number): string | undefined {
    const { ssl, out, name } = this;
    ssl.alpn(session, out.address, out.address + 8);
    const length = out.bytes.readUInt32LE(8);
    if (length === 0 || length > NAME_BYTES_MAX) return undefined;
    const address = out.bytes.readUInt32LE(4) * 2 ** 32 + out.bytes.readUInt32LE(0);
    ssl.copy(name.address, address, length);
    return name.bytes.toString('latin1', 0, length);
  }

  private clientCn(session: number): string | undefined {
    const { ssl, out } = this;
    const certificate = ssl.peerCertificate(session);
    if (certificate === 0) return undefined;
    const der = this.libc.pin(Math.max(0, ssl.encodeCertificate(certificate, 0)));
    out.bytes.writeBigUInt64LE(BigInt(der.address), 0);
    ssl.encodeCertificate(certificate, out.address);
    ssl.freeCertificate(certificate);
    return commonName(new X509Certificate(der.bytes));
  }
}

/** A device whose TLS is told as soon as its handshake has settled it. */
export class TlsPeer implements Peer {
  tls: PeerTls | undefined = undefined;
  private readonly peer: Peer;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  get remoteAddress(): string {
    return this.peer.remoteAddress;
  }

  get remotePort(): number {
    return this.peer.remotePort;
  }

  get destination(): Endpoint | undefined {
    return this.peer.destination;
  }
}
