import * as a from './alerts.ts';
import { type Hmac, updateKeys } from './key-schedule.ts';
import * as is from './state.ts';
import { READ, type RecordState, TLS13 } from './state.ts';

/** Handshake messages behind the handshake: KeyUpdate, tickets, and wishes that are refused (RFC 8446, 4.6). */

const HELLO_REQUEST = 0;
const CLIENT_HELLO = 1;
const NEW_SESSION_TICKET = 4;
const KEY_UPDATE = 24;

const HEADER_BYTES = 4;
/** The ticket may be so long (RFC 8446, 4.6.1), and its extensions as well. */
const MAX_TICKET_BYTES = 2 ** 17 + 512;
/** A ClientHello that is refused is not looked at. */
const MAX_HELLO_BYTES = 2 ** 17;

/** Reads what one record holds of handshake messages, which may be split over records anywhere. */
export function readMessages(
  state: RecordState,
  hmac: Hmac,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (start === end) state.fail(a.UNEXPECTED_MESSAGE); // RFC 8446, 5.1: none may be empty
  for (let at = start; at < end && state.fault === 0; ) {
    const { messageSkip } = state;
    if (messageSkip > 0) {
      const skipped = Math.min(messageSkip, end - at);
      state.messageSkip = messageSkip - skipped;
      at += skipped;
      continue;
    }
    state.addMessageByte(bytes[at++] as number);
    if (state.messageHave === HEADER_BYTES) readHeader(state);
    else if (state.messageHave > HEADER_BYTES) readKeyUpdate(state, hmac, at === end);
  }
}

function readHeader(state: RecordState): void {
  const type = state.messageByte(0);
  const length = (state.messageByte(1) << 16) | (state.messageByte(2) << 8) | state.messageByte(3);
  if (state.has(TLS13)) readHeader13(state, type, length);
  else readHeader12(state, type, length);
}

function readHeader13(state: RecordState, type: number, length: number): void {
  if (type === KEY_UPDATE) {
    if (length !== 1) state.fail(a.DECODE_ERROR);
  } else if (type === NEW_SESSION_TICKET && state.has(is.CLIENT)) skip(state, length, MAX_TICKET_BYTES);
  else state.fail(a.UNEXPECTED_MESSAGE); // a certificate is asked for in the handshake only: we offer no other (4.6.2)
}

/** Who wishes to shake hands again is told that we do not (RFC 5746, 4.5; RFC 9325, 3.5), and may go on. */
function readHeader12(state: RecordState, type: number, length: number): void {
  const wish = state.has(is.CLIENT) ? HELLO_REQUEST : CLIENT_HELLO;
  if (type !== wish) {
    state.fail(a.UNEXPECTED_MESSAGE);
    return;
  }
  state.set(is.REFUSAL_OWED);
  skip(state, length, type === HELLO_REQUEST ? 0 : MAX_HELLO_BYTES);
}

function skip(state: RecordState, length: number, most: number): void {
  if (length > most) state.fail(a.DECODE_ERROR);
  state.endMessage();
  state.messageSkip = length;
}

/** @param isLast whether it ends its record: what follows a change of keys is sealed with the next ones (5.1) */
function readKeyUpdate(state: RecordState, hmac: Hmac, isLast: boolean): void {
  const request = state.messageByte(HEADER_BYTES);
  state.endMessage();
  if (request > 1) state.fail(a.ILLEGAL_PARAMETER);
  else if (!isLast) state.fail(a.UNEXPECTED_MESSAGE);
  if (state.fault !== 0) return;
  updateKeys(state, hmac, READ);
  state.clear(is.UPDATE_ASKED);
  if (request === 1) state.set(is.UPDATE_OWED);
}
