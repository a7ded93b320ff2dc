// @ts-check
/** How numbers and times are written. */

export const number = new Intl.NumberFormat('en');

/**
 * How long ago a time is, in one unit.
 * @param {string} timestamp RFC 3339
 */
export function ago(timestamp) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(timestamp)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
