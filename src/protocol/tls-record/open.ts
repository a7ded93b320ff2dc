import { type Aead, explicitBytes, HEADER_BYTES, prepare12, prepare13, TAG_BYTES } from './aead.ts';
import * as a from './alerts.ts';
import type { Hmac } from './key-schedule.ts';
import { readMessages } from './messages.ts';
import * as is from './state.ts';
import { MAX_PLAINTEXT_BYTES, type Memory, READ, type RecordState, TLS13 } from './state.ts';

/** Reads records: data comes out, everything else is dealt with. */

/** In a row, without data. Who sends more only keeps us busy. */
const IDLE_RECORDS_MAX = 32;

/** Opens the records of a connection, in order. */
export class RecordOpener {
  /** Bytes of the input that the last `open` has dealt with; what is behind is a part of a record. */
  consumed = 0;
  private readonly aead: Aead;
  private readonly hmac: Hmac;

  constructor(aead: Aead, hmac: Hmac) {
    this.aead = aead;
    this.hmac = hmac;
  }

  /**
   * Opens the whole records of `input` up to `end`, and returns how many bytes of data are in `output`, which is as long as the input at least.
   * A fault, and the end of what the peer sends, are in the state: data before them counts, and what comes behind them is dropped.
   */
  open(state: RecordState, input: Memory, end: number, output: Memory): number {
    let at = 0;
    let data = 0;
    while (state.isReadable) {
      const size = recordBytes(state, input.bytes, at, end);
      if (size === 0 || at + size > end) break;
      data = this.record(state, input, at, size - HEADER_BYTES, output, data);
      at += size;
    }
    this.consumed = state.isReadable ? at : end;
    return data;
  }

  private record(
    state: RecordState,
    input: Memory,
    at: number,
    body: number,
    output: Memory,
    to: number,
  ): number {
    const { aead } = this;
    const isTls13 = state.has(TLS13);
    const explicit = explicitBytes(state);
    const length = body - explicit - TAG_BYTES;
    const from = input.address + at + HEADER_BYTES + explicit;
    const key = state.keyAddress(READ);
    const isWhole =
      length >= (isTls13 ? 1 : 0) &&
      aead.open(
        state.cipherNumber,
        key,
        isTls13
          ? prepare13(aead, state, READ, input.bytes, at)
          : prepare12(aead, state, READ, input.bytes, at, length),
        from,
        length,
        output.address + to,
      );
    if (!isWhole) {
      state.fail(a.BAD_RECORD_MAC);
      return to;
    }
    state.advance(READ, length);
    if (state.isSpent(READ)) state.fail(a.INTERNAL_ERROR);
    else if (isTls13 && state.isWorn(READ) && !state.has(is.UPDATE_ASKED)) state.set(is.UPDATE_OWED);
    return isTls13
      ? this.inner(state, output.bytes, to, to + length)
      : this.content(state, input.bytes[at] as number, output.bytes, to, to + length);
  }

  /** Behind the content of TLS 1.3 come its type, and as many zeros as the peer likes (RFC 8446, 5.4). */
  private inner(state: RecordState, bytes: Buffer, start: number, end: number): number {
    if (end - start > MAX_PLAINTEXT_BYTES + 1) {
      state.fail(a.RECORD_OVERFLOW);
      return start;
    }
    let last = end - 1;
    while (last >= start && bytes[last] === 0) last--;
    if (last < start) {
      state.fail(a.UNEXPECTED_MESSAGE);
      return start;
    }
    return this.content(state, bytes[last] as number, bytes, start, last);
  }

  /** Returns where data ends. */
  private content(state: RecordState, type: number, bytes: Buffer, start: number, end: number): number {
    if (end - start > state.fragmentLimit) state.fail(a.RECORD_OVERFLOW);
    else if (type !== a.HANDSHAKE && state.isInMessage) state.fail(a.UNEXPECTED_MESSAGE);
    else if (type === a.APPLICATION_DATA && end > start) {
      state.idleRecords = 0;
      return end;
    } else if (state.idleRecords >= IDLE_RECORDS_MAX) state.fail(a.UNEXPECTED_MESSAGE);
    else {
      state.idleRecords++;
      if (type === a.HANDSHAKE) readMessages(state, this.hmac, bytes, start, end);
      else if (type === a.ALERT) readAlert(state, bytes, start, end);
      else if (type !== a.APPLICATION_DATA) state.fail(a.UNEXPECTED_MESSAGE);
    }
    return start;
  }
}

/** The bytes of the record that begins at `at`, its header included; 0 where they are not known, or nothing may come so. */
export function recordBytes(state: RecordState, bytes: Uint8Array, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return 0;
  const isTls13 = state.has(TLS13);
  const type = bytes[at] as number;
  const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number);
  // TLS 1.3 hides the type, and ignores the version (RFC 8446, 5.1 and 5.2).
  if (isTls13 ? type !== a.APPLICATION_DATA : type < a.CHANGE_CIPHER_SPEC || type > a.APPLICATION_DATA)
    state.fail(a.UNEXPECTED_MESSAGE);
  else if (!isTls13 && (bytes[at + 1] !== 3 || bytes[at + 2] !== 3)) state.fail(a.PROTOCOL_VERSION);
  else if (length > MAX_PLAINTEXT_BYTES + (isTls13 ? 256 : 2048)) state.fail(a.RECORD_OVERFLOW);
  else return HEADER_BYTES + length;
  return 0;
}

/** Of one record, whole (RFC 8446, 5.1). Warnings are for people, but for the end (RFC 5246, 7.2.2). */
function readAlert(state: RecordState, bytes: Uint8Array, start: number, end: number): void {
  const level = bytes[start] as number;
  const code = bytes[start + 1] as number;
  if (end - start !== 2) state.fail(a.DECODE_ERROR);
  else if (code === a.CLOSE_NOTIFY) state.set(is.CLOSE_READ);
  else if (code !== a.USER_CANCELED && (state.has(TLS13) || level !== a.WARNING)) state.fail(is.PEER_ALERT);
}
