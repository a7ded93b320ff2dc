/** Alerts of TLS, and the types of records (RFC 8446, 6 and 5.1; RFC 5246, 7.2). */

export const CHANGE_CIPHER_SPEC = 20;
export const ALERT = 21;
export const HANDSHAKE = 22;
export const APPLICATION_DATA = 23;

export const WARNING = 1;
export const FATAL = 2;

export const CLOSE_NOTIFY = 0;
export const UNEXPECTED_MESSAGE = 10;
export const BAD_RECORD_MAC = 20;
export const RECORD_OVERFLOW = 22;
export const ILLEGAL_PARAMETER = 47;
export const DECODE_ERROR = 50;
export const PROTOCOL_VERSION = 70;
export const INTERNAL_ERROR = 80;
export const USER_CANCELED = 90;
export const NO_RENEGOTIATION = 100;
