// @ts-check
/** How numbers, times and texts of devices are written. */

const numbers = new Intl.NumberFormat('en');
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** @param {number} value */
export function count(value) {
  return numbers.format(value);
}

/**
 * A count with its noun: `1 device`, `1,204 devices`.
 * @param {number} value
 * @param {string} noun
 */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/**
 * What happens a second.
 * @param {number} rate
 */
export function perSecond(rate) {
  if (rate === 0) return '0';
  return rate < 10 ? rate.toFixed(1) : count(Math.round(rate));
}

/**
 * A length of time, in one unit.
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/**
 * How long ago a time is.
 * @param {string} timestamp RFC 3339
 */
export function ago(timestamp) {
  const seconds = Math.round((Date.now() - Date.parse(timestamp)) / 1000);
  return seconds < 1 ? 'a moment' : duration(seconds);
}

/**
 * The time of day here, and the day where it is not today.
 * @param {string} timestamp RFC 3339
 */
export function clockTime(timestamp) {
  const at = new Date(timestamp);
  const time = at.toLocaleTimeString('en-GB');
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString('en-CA')} ${time}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * What a device chose, with `\u202e` for a character that cannot be seen or would turn the text around it.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A client id as it is shown.
 * @param {string} clientId
 */
export function clientName(clientId) {
  return clientId === '' ? '(no client id)' : visible(clientId);
}

/** In an order in which `node-2` comes before `node-10`. */
export const natural = new Intl.Collator('en', { numeric: true }).compare;

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
