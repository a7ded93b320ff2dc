import { HEADER_BYTES, TAG_BYTES } from '../../protocol/tls-record/aead.ts';
import { beginTls12, beginTls13, type Hmac, secretBytes } from '../../protocol/tls-record/key-schedule.ts';
import { MAX_PLAINTEXT_BYTES, type RecordState } from '../../protocol/tls-record/state.ts';
import { cipherOfSuite } from '../../protocol/tls-record/suites.ts';
import type { Libc } from './libc.ts';
import type { Callback } from './native-library.ts';
import type { OpenSsl } from './openssl.ts';

/**
 * Takes the secrets of a handshake from OpenSSL, for records that are our own. TLS 1.3: from the lines of its key log, which are
 * told while a handshake makes a step, are kept in memory that is wiped, and go nowhere else. TLS 1.2: from the session.
 */

const SECRET_BYTES_MAX = 48;
const RANDOM_BYTES = 32;
/** The longest line has a label of 31 characters, 64 of a random and 96 of a secret. */
const LINE_BYTES_MAX = 256;
/** What a record of TLS 1.3 is longer than its content. */
const TLS13_OVERHEAD_BYTES = HEADER_BYTES + 1 + TAG_BYTES;

/** What one handshake has told so far. */
export interface HandshakeSecrets {
  readonly client: Buffer;
  readonly server: Buffer;
  /** Bytes that were given to the socket before the first ticket; negative: none was made. */
  beforeTickets: number;
}

/** Of the lines that count, both of one length. */
const LABELS = {
  client: Buffer.from('CLIENT_TRAFFIC_SECRET_0 '),
  server: Buffer.from('SERVER_TRAFFIC_SECRET_0 '),
};
const LABEL_BYTES = LABELS.client.length;

/** The secrets of the handshakes of one thread. OpenSSL calls back within the step that is being made. */
export class SecretsTaker {
  private readonly ssl: OpenSsl;
  private readonly hmac: Hmac;
  private readonly line: { readonly bytes: Buffer; readonly address: number };
  private readonly randoms: { readonly bytes: Buffer; readonly address: number };
  private readonly callback: Callback;
  private current: HandshakeSecrets | undefined;

  constructor(libc: Libc, ssl: OpenSsl, hmac: Hmac) {
    this.ssl = ssl;
    this.hmac = hmac;
    this.line = libc.pin(LINE_BYTES_MAX);
    this.randoms = libc.pin(2 * RANDOM_BYTES + SECRET_BYTES_MAX);
    this.callback = ssl.keylogCallback((address) => this.take(address));
  }

  /** Has the sessions of a context tell their secrets. */
  watch(context: number): void {
    this.ssl.setKeylogCallback(context, this.callback.address);
  }

  begin(): HandshakeSecrets {
    return {
      client: Buffer.alloc(SECRET_BYTES_MAX),
      server: Buffer.alloc(SECRET_BYTES_MAX),
      beforeTickets: -1,
    };
  }

  /** Whose handshake makes the next step; undefined: nobody's. */
  step(secrets: HandshakeSecrets | undefined): void {
    this.current = secrets;
  }

  /** A ticket is being made. Earlier records have been sent, because the peer has answered them. */
  ticket(session: number): void {
    const { current } = this;
    if (current !== undefined && current.beforeTickets < 0)
      current.beforeTickets = this.ssl.bytesWritten(session);
  }

  private take(address: number): void {
    const { line, current } = this;
    const length = this.ssl.lengthOf(address);
    if (current === undefined || length > LINE_BYTES_MAX) return;
    this.ssl.copy(line.address, address, length);
    const label = line.bytes.subarray(0, LABEL_BYTES);
    const digits = LABEL_BYTES + 2 * RANDOM_BYTES + 1; // the random of the client is before them
    if (LABELS.client.equals(label)) hexInto(line.bytes, digits, length, current.client);
    else if (LABELS.server.equals(label)) hexInto(line.bytes, digits, length, current.server);
    line.bytes.fill(0, 0, length);
  }

  /**
   * Begins the records of a session whose handshake is done. False where OpenSSL has to go on with it: another kind of cipher,
   * or bytes that it has read and that would be lost.
   */
  establish(
    session: number,
    secrets: HandshakeSecrets,
    isClient: boolean,
    state: RecordState,
    supports: (cipher: number) => boolean,
  ): boolean {
    const { ssl } = this;
    const suite = ssl.cipher(session);
    const cipher = cipherOfSuite(suite);
    if (cipher === undefined || !supports(cipher.number) || ssl.hasPending(session) !== 0) return false;
    const mode = ssl.maxFragmentMode(session);
    const fragmentLimit = mode === 0 ? MAX_PLAINTEXT_BYTES : 256 << mode;
    const established = { cipher, isClient, fragmentLimit };
    if (ssl.version(session) === 'TLSv1.3') {
      const length = secretBytes(cipher);
      const both = { client: secrets.client.subarray(0, length), server: secrets.server.subarray(0, length) };
      if (isEmpty(both.client) || isEmpty(both.server)) return false;
      beginTls13(state, this.hmac, established, both, this.ticketRecords(session, secrets, fragmentLimit));
      return true;
    }
    return this.establish12(session, suite, established, state);
  }

  /** How many records the tickets of a handshake took: each but the last is as long as it may be. */
  private ticketRecords(session: number, { beforeTickets }: HandshakeSecrets, fragmentLimit: number): number {
    if (beforeTickets < 0) return 0;
    const bytes = this.ssl.bytesWritten(session) - beforeTickets;
    return Math.ceil(bytes / (fragmentLimit + TLS13_OVERHEAD_BYTES));
  }

  private establish12(
    session: number,
    suite: string,
    established: Parameters<typeof beginTls12>[2],
    state: RecordState,
  ): boolean {
    const { ssl, randoms } = this;
    const { bytes, address } = randoms;
    ssl.clientRandom(session, address, RANDOM_BYTES);
    ssl.serverRandom(session, address + RANDOM_BYTES, RANDOM_BYTES);
    const length = ssl.masterKey(session, address + 2 * RANDOM_BYTES, SECRET_BYTES_MAX);
    if (length === SECRET_BYTES_MAX) {
      const hash = suite.endsWith('SHA384') ? 'sha384' : 'sha256';
      const both = {
        client: bytes.subarray(0, RANDOM_BYTES),
        server: bytes.subarray(RANDOM_BYTES, 2 * RANDOM_BYTES),
      };
      beginTls12(state, this.hmac, established, hash, bytes.subarray(2 * RANDOM_BYTES), both);
    }
    bytes.fill(0);
    return length === SECRET_BYTES_MAX;
  }

  close(): void {
    this.callback.free();
  }
}

export function dropSecrets({ client, server }: HandshakeSecrets): void {
  client.fill(0);
  server.fill(0);
}

const isEmpty = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

/** Digits of [start, end) as bytes: no string of them is made, which nobody could wipe. */
function hexInto(digits: Uint8Array, start: number, end: number, to: Uint8Array): void {
  for (let from = start, at = 0; from + 1 < end && at < to.length; from += 2, at++)
    to[at] = (digitOf(digits[from] as number) << 4) | digitOf(digits[from + 1] as number);
}

/** 0-9, a-f and A-F. */
function digitOf(character: number): number {
  return character < 0x3a ? character - 0x30 : (character & 0x0f) + 9;
}
