import { createHash } from 'node:crypto';

/** Longer ids than anybody reads, and shorter ones than fill a list. */
const WHOLE_MAX = 256;
const HEAD = 200;
const SHOWN = /^[\s\S]{199,200}…[0-9a-f]{32}$/;

/**
 * A client id as lists show it: one of more than 256 characters (up to 65,535 bytes are allowed [MQTT-1.5.4]) is cut, and
 * ends in `…` and 32 hex digits of its SHA-256. By this form the device is found wherever an id is asked for.
 */
export function shownId(clientId: string): string {
  if (clientId.length <= WHOLE_MAX) return clientId;
  const head = clientId.slice(0, HEAD).replace(/[\ud800-\udbff]$/, ''); // no half of a character
  return `${head}…${createHash('sha256').update(clientId).digest('hex').slice(0, 32)}`;
}

/** Whether this may be the form in which a longer id is shown. */
export function isCutId(id: string): boolean {
  return id.length <= HEAD + 33 && SHOWN.test(id);
}

/** Whether `asked` is the id, or the form in which it is shown. */
export function isIdOf(asked: string, clientId: string): boolean {
  if (asked === clientId) return true;
  return (
    clientId.length > WHOLE_MAX &&
    clientId.startsWith(asked.slice(0, HEAD - 1)) &&
    shownId(clientId) === asked
  );
}
