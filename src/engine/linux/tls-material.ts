import { constants } from 'node:crypto';
import { BreakwaterError } from '../../base/errors.ts';
import { cipherSettings, type TlsCertificate } from '../tls.ts';
import type { Libc, Pinned } from './libc.ts';
import type { OpenSsl } from './openssl.ts';
import * as o from './openssl.ts';

/** What both ends of TLS are made of: settings, and PEM texts that go into an SSL_CTX. */

const OPTIONS =
  o.SSL_OP_NO_RENEGOTIATION +
  o.SSL_OP_NO_COMPRESSION +
  o.SSL_OP_CIPHER_SERVER_PREFERENCE +
  o.SSL_OP_IGNORE_UNEXPECTED_EOF; // MQTT knows its own ends, and many devices close without close_notify
const MODE = o.SSL_MODE_ENABLE_PARTIAL_WRITE + o.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

/** As Node's own TLS: nodes may be old. */
export function nodeCiphers(): CipherSettings {
  return cipherSettings({ ciphers: constants.defaultCoreCipherList, minVersion: 'TLSv1.2' });
}

type CipherSettings = ReturnType<typeof cipherSettings>;

/** What holds for all contexts. */
export function applySettings(
  ssl: OpenSsl,
  context: number,
  { suites, list, minVersion }: CipherSettings,
  /** What OpenSSL reads beyond the handshake would be lost to them. */
  hasOwnRecords: boolean,
): void {
  const control = (command: number, larg: number) => ssl.contextControl(context, command, larg, 0);
  ssl.setOptions(context, OPTIONS);
  // A handshake would take and give back 16 KiB for each record; a session that OpenSSL goes on with is told so behind it.
  control(o.SSL_CTRL_MODE, hasOwnRecords ? MODE : MODE + o.SSL_MODE_RELEASE_BUFFERS);
  control(o.SSL_CTRL_SET_READ_AHEAD, hasOwnRecords ? 0 : 1); // a record in one system call instead of two
  const version = minVersion === 'TLSv1.3' ? o.TLS1_3_VERSION : o.TLS1_2_VERSION;
  control(o.SSL_CTRL_SET_MIN_PROTO_VERSION, version);
  control(o.SSL_CTRL_SET_SESS_CACHE_MODE, 0); // sessions are kept by the devices, in their tickets
  must(ssl, ssl.setCipherSuites(context, suites), 'the ciphers of TLS 1.3 are refused');
  must(ssl, ssl.setCipherList(context, list), 'the ciphers of TLS 1.2 are refused');
}

/** @throws BreakwaterError TLS_INVALID */
export function addCertificate(
  libc: Libc,
  ssl: OpenSsl,
  context: number,
  { cert, key }: TlsCertificate,
): void {
  eachCertificate(libc, ssl, cert, (certificate, index) => {
    const added =
      index === 0
        ? ssl.useCertificate(context, certificate)
        : ssl.contextControl(context, o.SSL_CTRL_CHAIN_CERT, 1, certificate);
    must(ssl, added, 'the certificate is refused');
  });
  withBio(libc, ssl, key, (bio) => {
    const privateKey = ssl.readKey(bio);
    must(ssl, privateKey, 'the key cannot be read');
    const used = ssl.useKey(context, privateKey);
    ssl.freeKey(privateKey);
    must(ssl, used, 'the key is refused');
  });
}

/** Each certificate of a PEM text, valid during the call. */
export function eachCertificate(
  libc: Libc,
  ssl: OpenSsl,
  pem: string,
  each: (certificate: number, index: number) => void,
): void {
  withBio(libc, ssl, pem, (bio) => {
    for (let index = 0; ; index++) {
      const certificate = ssl.readCertificate(bio);
      if (certificate === 0) return; // the end of the text; what is in it was checked before
      try {
        each(certificate, index);
      } finally {
        ssl.freeCertificate(certificate);
      }
    }
  });
}

/** Has the chain of every peer looked up in these revocation lists, each of its certificates. */
export function addCrls(libc: Libc, ssl: OpenSsl, context: number, pem: string): void {
  const store = ssl.certificateStore(context);
  withBio(libc, ssl, pem, (bio) => {
    for (let crl = ssl.readCrl(bio); crl !== 0; crl = ssl.readCrl(bio)) {
      const added = ssl.addCrl(store, crl);
      ssl.freeCrl(crl);
      must(ssl, added, 'a list of crl is refused');
    }
  });
  ssl.setStoreFlags(store, o.X509_V_FLAG_CRL_CHECK + o.X509_V_FLAG_CRL_CHECK_ALL);
}

function withBio(libc: Libc, ssl: OpenSsl, pem: string, use: (bio: number) => void): void {
  const text = pinned(libc, Buffer.from(pem));
  const bio = ssl.memoryBio(text.address, text.bytes.length);
  try {
    use(bio);
  } finally {
    ssl.freeBio(bio);
    text.bytes.fill(0);
  }
}

export function pinned(libc: Libc, bytes: Uint8Array): Pinned {
  const memory = libc.pin(bytes.length);
  memory.bytes.set(bytes);
  return memory;
}

export function must(ssl: OpenSsl, result: number, what: string): void {
  if (result === 0) throw new BreakwaterError('TLS_INVALID', `${what}: ${ssl.takeError()}`);
}
