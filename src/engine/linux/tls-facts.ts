import { X509Certificate } from 'node:crypto';
import type { Peer, PeerTls } from '../../connection/wire.ts';
import type { Endpoint } from '../../protocol/proxy-protocol/header.ts';
import { commonName } from '../tls.ts';
import type { Libc, Pinned } from './libc.ts';
import type { OpenSsl } from './openssl.ts';

/** What the handshake of a device has settled, for people and for rules. */

/** Looks it up in a session. Devices that have settled the same share one object. */
export class TlsFacts {
  private readonly libc: Libc;
  private readonly ssl: OpenSsl;
  private readonly out: Pinned;
  private last: PeerTls | undefined;

  constructor(libc: Libc, ssl: OpenSsl) {
    this.libc = libc;
    this.ssl = ssl;
    this.out = libc.pin(16);
  }

  /** Of a session whose handshake is done. */
  of(session: number): PeerTls {
    const { ssl, last } = this;
    const version = ssl.version(session) as PeerTls['version'];
    const cipher = ssl.cipher(session);
    const serverName = ssl.serverName(session) ?? undefined;
    const alpn = this.alpnOf(session);
    const clientCertificateCn = this.clientCn(session);
    if (
      last?.version === version &&
      last.cipher === cipher &&
      last.serverName === serverName &&
      last.alpn === alpn &&
      last.clientCertificateCn === clientCertificateCn
    )
      return last;
    this.last = { version, cipher, serverName, alpn, clientCertificateCn };
    return this.last;
  }

  private alpnOf(session: number): string | undefined {
    const { ssl, out } = this;
    ssl.alpn(session, out.address, out.address + 8);
    const length = out.bytes.readUInt32LE(8);
    return length === 0
      ? undefined
      : this.bytesAt(Number(out.bytes.readBigUInt64LE(0)), length).toString('latin1');
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

  private bytesAt(address: number, length: number): Buffer {
    const memory = this.libc.pin(length);
    this.ssl.copy(memory.address, address, length);
    return memory.bytes;
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
