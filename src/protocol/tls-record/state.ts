import { uint16, uint32 } from '../../base/bytes.ts';
import { type AeadCipher, aeadCipher } from './suites.ts';

/**
 * What the record layer of one TLS connection is, behind its handshake: two keys, two IVs, two sequence numbers and a little
 * more. It lies in bytes of a fixed form, so it is small, wiped by one `fill`, and written down as it is (`snapshot.ts`).
 */

/** Bytes with an address that functions of C may use. */
export interface Memory {
  readonly bytes: Buffer;
  readonly address: number;
}

/** What a state takes. */
export const STATE_BYTES = 256;
/** Grows when the form changes; a state of another form is not read. */
const FORM = 1;

/** Most bytes of plaintext in one record (RFC 8446, 5.1). */
export const MAX_PLAINTEXT_BYTES = 16_384;
/** The least that a peer may ask for as the most (RFC 6066, 4). */
export const MIN_FRAGMENT_LIMIT = 512;
/** What one record may take with its header: TLS 1.2 allows its protection the most (RFC 5246, 6.2.3). */
export const MAX_RECORD_BYTES = 5 + MAX_PLAINTEXT_BYTES + 2048;

// Where what is, from the beginning of the state.
const CIPHER = 1;
const FLAGS = 2;
const FAULT = 3;
const IDLE_RECORDS = 4;
const FRAGMENT_LIMIT = 6;
/** Of a handshake message: its first bytes (header, and the one byte of KeyUpdate), how many are there, how many are to be skipped. */
const MESSAGE = 8;
const MESSAGE_HAVE = 13;
const MESSAGE_SKIP = 16;
export const READ = 32;
export const WRITE = 144;

// From the beginning of a direction.
const SECRET = 0;
const KEY = 48;
const IV = 80;
const SEQUENCE = 92;
const BLOCKS = 100;
const DIRECTION_BYTES = 112;

const SECRET_BYTES_MAX = KEY - SECRET;
const KEY_BYTES_MAX = IV - KEY;
export const IV_BYTES = 12;

/** One of the two ways: `READ` or `WRITE`. */
export type Direction = typeof READ | typeof WRITE;

export const TLS13 = 1 << 0;
/** We are the client: a link to a node. */
export const CLIENT = 1 << 1;
/** The peer has said that nothing more comes. */
export const CLOSE_READ = 1 << 2;
/** We have said that nothing more comes. */
export const CLOSE_SENT = 1 << 3;
/** A KeyUpdate is to be sent. */
export const UPDATE_OWED = 1 << 4;
/** The peer was asked for a KeyUpdate, which has not come yet. */
export const UPDATE_ASKED = 1 << 5;
/** The peer wishes to shake hands again, and is to be told no. */
export const REFUSAL_OWED = 1 << 6;

/** The fault of a connection whose peer has sent a fatal alert: it is not answered. */
export const PEER_ALERT = 255;

/**
 * Of 16 bytes each. 2^24 full records, a bit less than the 2^24.5 that RFC 8446 (5.5) allows AES-GCM. What wears a key out is
 * how much it has sealed, so small records are not counted as full ones.
 */
const BLOCKS_MAX = 2 ** 34;

/** A look at one state, at a place in memory that `use` changes: one object serves all connections of a thread. */
export class RecordState {
  bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  private address = 0;

  /** @param at where the state begins; from there on there are `STATE_BYTES` */
  use(memory: Memory, at: number): this {
    this.bytes = memory.bytes;
    this.at = at;
    this.address = memory.address + at;
    return this;
  }

  /** Begins a connection, whose secrets or keys are there, or come next. @param fragmentLimit most plaintext in a record (RFC 6066, 4) */
  begin(cipher: AeadCipher, flags: number, fragmentLimit: number): void {
    this.bytes.fill(0, this.at, this.at + READ);
    this.bytes[this.at] = FORM;
    this.bytes[this.at + CIPHER] = cipher.number;
    this.bytes[this.at + FLAGS] = flags;
    this.bytes.writeUInt16BE(fragmentLimit, this.at + FRAGMENT_LIMIT);
  }

  wipe(): void {
    this.bytes.fill(0, this.at, this.at + STATE_BYTES);
  }

  /** Whether these bytes are a state that this program can go on with. */
  isValid(): boolean {
    const { bytes, at } = this;
    const limit = this.fragmentLimit;
    return (
      bytes[at] === FORM &&
      aeadCipher(bytes[at + CIPHER] as number) !== undefined &&
      ((bytes[at + FLAGS] as number) & 0x80) === 0 &&
      limit >= MIN_FRAGMENT_LIMIT &&
      limit <= MAX_PLAINTEXT_BYTES &&
      (bytes[at + MESSAGE_HAVE] as number) <= MESSAGE_HAVE - MESSAGE
    );
  }

  copyTo(to: Uint8Array, at: number): void {
    to.set(this.bytes.subarray(this.at, this.at + STATE_BYTES), at);
  }

  copyFrom(from: Uint8Array): void {
    this.bytes.set(from.subarray(0, STATE_BYTES), this.at);
  }

  // ---- what holds for both ways

  get cipherNumber(): number {
    return this.bytes[this.at + CIPHER] as number;
  }

  get cipher(): AeadCipher {
    return aeadCipher(this.cipherNumber) as AeadCipher;
  }

  has(flag: number): boolean {
    return ((this.bytes[this.at + FLAGS] as number) & flag) !== 0;
  }

  set(flag: number): void {
    this.bytes[this.at + FLAGS] = (this.bytes[this.at + FLAGS] as number) | flag;
  }

  clear(flag: number): void {
    this.bytes[this.at + FLAGS] = (this.bytes[this.at + FLAGS] as number) & ~flag;
  }

  /** The alert that ends this connection, or `PEER_ALERT`; 0 while there is none. */
  get fault(): number {
    return this.bytes[this.at + FAULT] as number;
  }

  /** The first fault counts. */
  fail(alert: number): void {
    if (this.fault === 0) this.bytes[this.at + FAULT] = alert;
  }

  /** Whether more may be read. */
  get isReadable(): boolean {
    return this.fault === 0 && !this.has(CLOSE_READ);
  }

  get fragmentLimit(): number {
    return uint16(this.bytes, this.at + FRAGMENT_LIMIT);
  }

  /** Records in a row that brought no bytes. */
  get idleRecords(): number {
    return this.bytes[this.at + IDLE_RECORDS] as number;
  }

  set idleRecords(count: number) {
    this.bytes[this.at + IDLE_RECORDS] = count;
  }

  // ---- the handshake message that is being read

  /** How many of its first bytes are there. */
  get messageHave(): number {
    return this.bytes[this.at + MESSAGE_HAVE] as number;
  }

  messageByte(index: number): number {
    return this.bytes[this.at + MESSAGE + index] as number;
  }

  addMessageByte(byte: number): void {
    const have = this.messageHave;
    this.bytes[this.at + MESSAGE + have] = byte;
    this.bytes[this.at + MESSAGE_HAVE] = have + 1;
  }

  endMessage(): void {
    this.bytes[this.at + MESSAGE_HAVE] = 0;
  }

  /** How many of its bytes are still to come, and are of no interest. */
  get messageSkip(): number {
    return uint32(this.bytes, this.at + MESSAGE_SKIP);
  }

  set messageSkip(count: number) {
    this.bytes.writeUInt32BE(count, this.at + MESSAGE_SKIP);
  }

  get isInMessage(): boolean {
    return this.messageHave !== 0 || this.messageSkip !== 0;
  }

  // ---- one way

  /** Of the key, for functions of C. */
  keyAddress(direction: Direction): number {
    return this.address + direction + KEY;
  }

  /** Of the traffic secret. */
  secretAddress(direction: Direction): number {
    return this.address + direction + SECRET;
  }

  /** The first bytes of the traffic secret, as they are in the state. */
  secret(direction: Direction, length: number): Uint8Array {
    const start = this.at + direction + SECRET;
    return this.bytes.subarray(start, start + length);
  }

  /** The traffic secret of TLS 1.3, of which keys come. TLS 1.2 has none. */
  setSecret(direction: Direction, from: Uint8Array, start: number, length: number): void {
    this.put(direction + SECRET, SECRET_BYTES_MAX, from, start, length);
  }

  setKey(direction: Direction, from: Uint8Array, start: number, length: number): void {
    this.put(direction + KEY, KEY_BYTES_MAX, from, start, length);
  }

  /** The last part of a set of keys: their sequence begins. */
  setIv(direction: Direction, from: Uint8Array, start: number, length: number): void {
    this.put(direction + IV, IV_BYTES, from, start, length);
    this.bytes.fill(0, this.at + direction + SEQUENCE, this.at + direction + DIRECTION_BYTES);
  }

  private put(place: number, most: number, from: Uint8Array, start: number, length: number): void {
    if (length > most) throw new RangeError('keys of a size that no suite has');
    for (let i = 0; i < length; i++) this.bytes[this.at + place + i] = from[start + i] as number;
  }

  /** Writes the IV, each byte of its end combined with the sequence number (RFC 8446, 5.3; RFC 7905, 2). */
  nonce(direction: Direction, to: Uint8Array): void {
    const { bytes } = this;
    const iv = this.at + direction + IV;
    const sequence = this.at + direction + SEQUENCE - 4;
    for (let i = 0; i < 4; i++) to[i] = bytes[iv + i] as number;
    for (let i = 4; i < IV_BYTES; i++) to[i] = (bytes[iv + i] as number) ^ (bytes[sequence + i] as number);
  }

  /** Writes the four bytes of the IV that come from the handshake (RFC 5288, 3). */
  salt(direction: Direction, to: Uint8Array): void {
    const iv = this.at + direction + IV;
    for (let i = 0; i < 4; i++) to[i] = this.bytes[iv + i] as number;
  }

  /** Writes the sequence number, 8 bytes. */
  sequence(direction: Direction, to: Uint8Array, at: number): void {
    const from = this.at + direction + SEQUENCE;
    for (let i = 0; i < 8; i++) to[at + i] = this.bytes[from + i] as number;
  }

  /** Counts one record of so many bytes. */
  advance(direction: Direction, length: number): void {
    const { bytes } = this;
    const sequence = this.at + direction + SEQUENCE;
    for (let i = sequence + 7; i >= sequence; i--) {
      const next = ((bytes[i] as number) + 1) & 0xff;
      bytes[i] = next;
      if (next !== 0) break;
    }
    const blocks = this.at + direction + BLOCKS;
    let carry = 1 + ((length + 15) >>> 4);
    for (let i = blocks + 7; i >= blocks && carry !== 0; i--) {
      carry += bytes[i] as number;
      bytes[i] = carry & 0xff;
      carry >>>= 8;
    }
  }

  /** The handshake has used the first numbers of a sequence. */
  skip(direction: Direction, records: number): void {
    for (let i = 0; i < records; i++) this.advance(direction, 0);
  }

  /** Whether its key is to be changed soon: after 2^48 records, or what AES-GCM may seal with one key. */
  isWorn(direction: Direction): boolean {
    const sequence = this.at + direction + SEQUENCE;
    if (((this.bytes[sequence] as number) | (this.bytes[sequence + 1] as number)) !== 0) return true;
    const high = uint32(this.bytes, this.at + direction + BLOCKS);
    return high >= BLOCKS_MAX / 2 ** 32 && this.cipher.wearsOut;
  }

  /** Whether its key may be used no more: after 2^56 records. */
  isSpent(direction: Direction): boolean {
    return this.bytes[this.at + direction + SEQUENCE] !== 0;
  }
}
