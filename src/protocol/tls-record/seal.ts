import {
  type Aead,
  explicitBytes,
  HEADER_BYTES,
  OVERHEAD_BYTES,
  prepare12,
  prepare13,
  TAG_BYTES,
} from './aead.ts';
import * as a from './alerts.ts';
import { type Hmac, updateKeys } from './key-schedule.ts';
import * as is from './state.ts';
import { type Memory, type RecordState, TLS13, WRITE } from './state.ts';

/** Writes records: data, alerts, and changes of keys. */

/** Handshake messages of one record that we send: KeyUpdate (RFC 8446, 4.6.3). */
const KEY_UPDATE = 24;
const UPDATE_NOT_REQUESTED = 0;
const UPDATE_REQUESTED = 1;

/** What records that carry no data take together before the first that does: a KeyUpdate or a refusal. */
const CONTROL_BYTES = 2 * (OVERHEAD_BYTES + 6);

/** Seals records into memory that the caller sends in order. Each has used up its number, so it must be sent. */
export class RecordSealer {
  private readonly aead: Aead;
  private readonly hmac: Hmac;
  /** Of a record that carries no data. */
  private readonly payload: Memory;

  /** @param payload at least 8 bytes of memory of its own */
  constructor(aead: Aead, hmac: Hmac, payload: Memory) {
    this.aead = aead;
    this.hmac = hmac;
    this.payload = payload;
  }

  /** What `data` takes at most in the output. */
  room(state: RecordState, length: number): number {
    return CONTROL_BYTES + length + Math.ceil(length / state.fragmentLimit) * OVERHEAD_BYTES;
  }

  /**
   * Seals `length` bytes at the address `from`, in as few records as the peer takes, behind what is owed. Returns where
   * the last one ends in `out`; it is `at` where the keys are used up, which is a fault of the state.
   */
  data(state: RecordState, from: number, length: number, out: Memory, at: number): number {
    let end = this.owed(state, out, at);
    const limit = state.fragmentLimit;
    for (let done = 0; done < length && state.fault === 0; done += limit)
      end = this.record(state, a.APPLICATION_DATA, from + done, Math.min(limit, length - done), out, end);
    return end;
  }

  /** Seals what must be said without delay: answers to the peer, and a change of keys that have sealed enough. */
  owed(state: RecordState, out: Memory, at: number): number {
    let end = at;
    if (state.has(is.REFUSAL_OWED)) {
      state.clear(is.REFUSAL_OWED);
      end = this.alert(state, a.WARNING, a.NO_RENEGOTIATION, out, end);
    }
    if (!state.has(TLS13)) {
      if (state.isSpent(WRITE)) state.fail(a.INTERNAL_ERROR);
      return end;
    }
    if (!state.has(is.UPDATE_OWED) && !state.isWorn(WRITE)) return end;
    return this.keyUpdate(state, out, end);
  }

  /** Whether `owed` has something to seal. */
  owes(state: RecordState): boolean {
    return state.has(is.UPDATE_OWED | is.REFUSAL_OWED);
  }

  /** The peer is asked for an update too where its key has sealed enough. */
  private keyUpdate(state: RecordState, out: Memory, at: number): number {
    const asks = state.isWorn(is.READ) && !state.has(is.UPDATE_ASKED);
    const { bytes, address } = this.payload;
    bytes.writeUInt32BE(KEY_UPDATE * 2 ** 24 + 1);
    bytes[4] = asks ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED;
    const end = this.record(state, a.HANDSHAKE, address, 5, out, at);
    updateKeys(state, this.hmac, WRITE);
    state.clear(is.UPDATE_OWED);
    if (asks) state.set(is.UPDATE_ASKED);
    return end;
  }

  /** Says that nothing more will be sent. */
  closeNotify(state: RecordState, out: Memory, at: number): number {
    state.set(is.CLOSE_SENT);
    return this.alert(state, a.WARNING, a.CLOSE_NOTIFY, out, at);
  }

  alert(state: RecordState, level: number, code: number, out: Memory, at: number): number {
    const { bytes, address } = this.payload;
    bytes[0] = level;
    bytes[1] = code;
    return this.record(state, a.ALERT, address, 2, out, at);
  }

  private record(
    state: RecordState,
    type: number,
    from: number,
    length: number,
    out: Memory,
    at: number,
  ): number {
    const { aead } = this;
    const { bytes } = out;
    const isTls13 = state.has(TLS13);
    const explicit = explicitBytes(state);
    const inner = isTls13 ? length + 1 : length;
    const body = explicit + inner + TAG_BYTES;
    bytes[at] = isTls13 ? a.APPLICATION_DATA : type;
    bytes[at + 1] = 3;
    bytes[at + 2] = 3;
    bytes[at + 3] = body >>> 8;
    bytes[at + 4] = body & 0xff;
    // The sequence number is unique, which is all that RFC 5288 (3) asks of an explicit nonce.
    if (explicit !== 0) state.sequence(WRITE, bytes, at + HEADER_BYTES);
    const aad = isTls13
      ? prepare13(aead, state, WRITE, bytes, at)
      : prepare12(aead, state, WRITE, bytes, at, length);
    const to = out.address + at + HEADER_BYTES + explicit;
    aead.seal(state.cipherNumber, state.keyAddress(WRITE), aad, from, length, isTls13 ? type : -1, to);
    state.advance(WRITE, inner);
    return at + HEADER_BYTES + body;
  }
}
