import { HEADER_BYTES, TAG_BYTES } from '../../protocol/tls-record/aead.ts';
import {
  beginTls12,
  beginTls13,
  type Established,
  type Hmac,
} from '../../protocol/tls-record/key-schedule.ts';
import {
  type Direction,
  MAX_PLAINTEXT_BYTES,
  READ,
  type RecordState,
  WRITE,
} from '../../protocol/tls-record/state.ts';
import { hashBytes } from '../../protocol/tls-record/suites.ts';
import type { Libc, Pinned } from './libc.ts';
import type { Callback } from './native-library.ts';
import type { OpenSsl } from './openssl.ts';
import { SecretPlaces } from './secret-places.ts';
import type { SuiteFacts } from './tls-facts.ts';

/**
 * Takes the secrets of a handshake from OpenSSL, for records that are our own. TLS 1.3: from its object of the session, where they lie
 * at places that are learned (`secret-places.ts`), and until then from the lines of its key log, which are told while a
 * handshake makes a step. They go straight into the state of the connection, and nowhere else. TLS 1.2: from the session.
 */

const MASTER_BYTES = 48;
const RANDOM_BYTES = 32;
/** The longest line has a label of 31 characters, 64 of a random and 96 of a secret. */
const LINE_BYTES_MAX = 256;
/** What a record of TLS 1.3 is longer than its content. */
const TLS13_OVERHEAD_BYTES = HEADER_BYTES + 1 + TAG_BYTES;

/** Of the lines that count, both of one length. */
const CLIENT_LABEL = Buffer.from('CLIENT_TRAFFIC_SECRET_0 ');
const SERVER_LABEL = Buffer.from('SERVER_TRAFFIC_SECRET_0 ');

/** What each character of hexadecimal stands for. */
const DIGITS = new Uint8Array(256);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  DIGITS[digit.charCodeAt(0)] = value;
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}

/** A handshake, behind which records are to be our own. */
export interface TakenHandshake {
  readonly fd: number;
  readonly isClient: boolean;
  /** The memory that OpenSSL reads it from (`handshake-input.ts`). */
  readonly input: number;
  /** Whether it waits for room, and may have left something unread. */
  isBlocked: boolean;
  /** How many of the two traffic secrets have come. */
  secrets: number;
  /** Whether its secrets are asked for from now on. */
  isArmed: boolean;
  /** Bytes that were given to the socket before the first ticket; negative: none was made. */
  beforeTickets: number;
}

/** The secrets of the handshakes of one thread. OpenSSL calls back within the step that is being made. */
export class SecretsTaker {
  private readonly ssl: OpenSsl;
  private readonly hmac: Hmac;
  private readonly stateOf: (fd: number) => RecordState;
  private readonly places: SecretPlaces;
  private readonly line: Pinned;
  private readonly secret = Buffer.alloc(MASTER_BYTES);
  private readonly master: Pinned;
  private readonly randoms: Pinned;
  private readonly keylog: Callback;
  private readonly padding: Callback;
  /** Settings whose handshakes tell when they begin to seal. */
  private readonly watched = new Set<number>();
  private current: TakenHandshake | undefined;

  /** @param stateOf where the secrets of a socket go */
  constructor(
    libc: Libc,
    ssl: OpenSsl,
    hmac: Hmac,
    stateOf: (fd: number) => RecordState,
    places = new SecretPlaces(libc),
  ) {
    this.ssl = ssl;
    this.hmac = hmac;
    this.stateOf = stateOf;
    this.places = places;
    this.line = libc.pin(LINE_BYTES_MAX);
    this.master = libc.pin(MASTER_BYTES);
    this.randoms = libc.pin(2 * RANDOM_BYTES);
    this.keylog = ssl.keylogCallback((address) => this.take(address));
    this.padding = ssl.paddingCallback((session) => this.arm(session));
  }

  /** Has the handshakes of a listener with these settings tell when they begin to seal, as long as that is needed. */
  watch(context: number): void {
    if (this.places.areKnown) return;
    this.ssl.setPaddingCallback(context, this.padding.address);
    this.watched.add(context);
  }

  /** The settings are about to be freed. */
  forget(context: number): void {
    this.watched.delete(context);
  }

  private unwatchAll(): void {
    for (const context of this.watched) this.ssl.setPaddingCallback(context, 0);
    this.watched.clear();
  }

  begin(fd: number, isClient: boolean, input: number): TakenHandshake {
    return { fd, isClient, input, isBlocked: false, secrets: 0, isArmed: isClient, beforeTickets: -1 };
  }

  /** Makes a step of a handshake. */
  step(handshake: TakenHandshake, session: number, run: (session: number) => number): number {
    this.current = handshake;
    const { areKnown } = this.places;
    if (handshake.isArmed && !areKnown) this.log(session, true);
    const result = run(session);
    if (handshake.isArmed && !areKnown) this.log(session, false);
    this.current = undefined;
    return result;
  }

  /**
   * OpenSSL takes four microseconds to write a line. A server that has begun to seal has written the two of the handshake's own secrets,
   * which nobody needs; TLS 1.2 does not come here.
   */
  private arm(session: number): void {
    const { current, places } = this;
    if (current === undefined || current.isArmed || places.areKnown) return;
    current.isArmed = true;
    this.log(session, true);
  }

  private log(session: number, isOn: boolean): void {
    const { ssl } = this;
    ssl.setKeylogCallback(ssl.contextOf(session), isOn ? this.keylog.address : 0);
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
    if (beginsWith(line.bytes, CLIENT_LABEL)) this.keep(current, current.isClient ? WRITE : READ, length);
    else if (beginsWith(line.bytes, SERVER_LABEL))
      this.keep(current, current.isClient ? READ : WRITE, length);
    line.bytes.fill(0);
  }

  /** Behind the label are the random of the client, a space, and the secret, in hexadecimal. No string of it is made, which nobody could wipe. */
  private keep(handshake: TakenHandshake, direction: Direction, end: number): void {
    const { line, secret } = this;
    const start = CLIENT_LABEL.length + 2 * RANDOM_BYTES + 1;
    const bytes = Math.min((end - start) >> 1, secret.length);
    for (let at = 0, from = start; at < bytes; at++, from += 2)
      secret[at] =
        ((DIGITS[line.bytes[from] as number] as number) << 4) |
        (DIGITS[line.bytes[from + 1] as number] as number);
    this.stateOf(handshake.fd).setSecret(direction, secret, 0, bytes);
    handshake.secrets++;
    secret.fill(0);
  }

  /**
   * Begins the records of a session whose handshake is done. False where OpenSSL has to go on with it: another kind of cipher,
   * or bytes that it has read and that would be lost.
   */
  establish(session: number, handshake: TakenHandshake, suite: SuiteFacts): boolean {
    const { ssl } = this;
    const { cipher, version, hash } = suite;
    if (cipher === undefined || ssl.hasPending(session) !== 0) return false;
    const { fd, isClient } = handshake;
    const state = this.stateOf(fd);
    const mode = ssl.maxFragmentMode(session);
    const fragmentLimit = mode === 0 ? MAX_PLAINTEXT_BYTES : 256 << mode;
    const established = { cipher, isClient, fragmentLimit };
    if (version === 'TLSv1.2') return this.establish12(session, established, hash, state);
    if (!this.gather(session, handshake, hashBytes[cipher.hash], state)) return false;
    beginTls13(state, this.hmac, established, this.ticketRecords(session, handshake, fragmentLimit));
    return true;
  }

  /** Sees to it that the state has both secrets, of `size` bytes. */
  private gather(
    session: number,
    { isClient, secrets }: TakenHandshake,
    size: number,
    state: RecordState,
  ): boolean {
    const { ssl, places } = this;
    const client = isClient ? WRITE : READ;
    const server = isClient ? READ : WRITE;
    if (secrets === 2) {
      places.learn(session, state.secret(client, size), state.secret(server, size));
      if (places.areKnown) this.unwatchAll();
      return true;
    }
    if (!places.areKnown) return false;
    ssl.copy(state.secretAddress(client), session + places.client, size);
    ssl.copy(state.secretAddress(server), session + places.server, size);
    return true;
  }

  /** How many records the tickets of a handshake took: each but the last is as long as it may be. */
  private ticketRecords(session: number, { beforeTickets }: TakenHandshake, fragmentLimit: number): number {
    if (beforeTickets < 0) return 0;
    const bytes = this.ssl.bytesWritten(session) - beforeTickets;
    return Math.ceil(bytes / (fragmentLimit + TLS13_OVERHEAD_BYTES));
  }

  private establish12(
    session: number,
    established: Established,
    hash: SuiteFacts['hash'],
    state: RecordState,
  ): boolean {
    const { ssl, master, randoms } = this;
    ssl.serverRandom(session, randoms.address, RANDOM_BYTES);
    ssl.clientRandom(session, randoms.address + RANDOM_BYTES, RANDOM_BYTES);
    const isThere = ssl.masterKey(session, master.address, MASTER_BYTES) === MASTER_BYTES;
    if (isThere) beginTls12(state, this.hmac, established, hash, master, randoms.bytes);
    master.bytes.fill(0);
    return isThere;
  }

  close(): void {
    this.unwatchAll();
    this.keylog.free();
    this.padding.free();
  }
}

function beginsWith(bytes: Uint8Array, label: Uint8Array): boolean {
  for (let i = 0; i < label.length; i++) if (bytes[i] !== label[i]) return false;
  return true;
}
