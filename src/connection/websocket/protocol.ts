/** Numbers of RFC 6455. */

/** 5.2. */
export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** 5.5. */
export const MAX_CONTROL_BYTES = 125;

/** No MQTT packet is larger (2.1.4: four bytes of length), and a frame that says so is an attack or a mistake. */
export const MAX_FRAME_BYTES = 268_435_460;

/** 7.4.1. */
export const closeCode = {
  normal: 1000,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidData: 1007,
  tooBig: 1009,
  internalError: 1011,
} as const;

/** May this code stand in a close frame? (7.4.1, 7.4.2 and IANA's WebSocket Close Code Number Registry) */
export function isCloseCode(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
