/**
 * IP addresses as numbers. An address is four 32-bit words, highest first; an IPv4 address has its value in the last
 * one. The words are written into an array of the caller, because this runs for every accepted connection.
 */

export type IpFamily = 4 | 6;

/** Four words of 32 bits. */
export type IpWords = Uint32Array;

export const newIpWords = (): IpWords => new Uint32Array(4);

/**
 * Reads an address; 0 when the text is none. An IPv4 address in its IPv6 form (`::ffff:10.0.0.1`, as a dual-stack
 * socket writes it, RFC 4291 clause 2.5.5.2) is that IPv4 address. A zone (`%eth0`) is no part of the address.
 */
export function parseIp(text: string, into: IpWords): IpFamily | 0 {
  if (!text.includes(':')) {
    const value = ipv4Value(text, 0, text.length);
    return value < 0 ? 0 : setIpv4(value, into);
  }
  const zone = text.indexOf('%');
  if (!parseIpv6(text, zone < 0 ? text.length : zone, into)) return 0;
  if (!isMapped(into)) return 6;
  into[2] = 0;
  return 4;
}

function setIpv4(value: number, into: IpWords): 4 {
  into[0] = 0; // one by one, which is faster than `fill`
  into[1] = 0;
  into[2] = 0;
  into[3] = value;
  return 4;
}

/** Who connects: by a number where that is at hand, so that no text need be made and read for it. */
export interface Addressed {
  readonly remoteAddress: string;
  /** The same as an unsigned integer, if it is an IPv4 address. */
  readonly ipv4?: number | undefined;
}

export type IpSource = Addressed | string;

/** As `parseIp`. */
export function readIp(source: IpSource, into: IpWords): IpFamily | 0 {
  if (typeof source === 'string') return parseIp(source, into);
  const { ipv4 } = source;
  return ipv4 === undefined ? parseIp(source.remoteAddress, into) : setIpv4(ipv4, into);
}

/** Is it an IPv4 address in its IPv6 form? */
function isMapped(words: IpWords): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
}

/** The address as text: IPv6 in the form of RFC 5952, as the system itself writes it. */
export function formatIp(family: IpFamily, words: IpWords): string {
  if (family === 4) return dotted(words[3] ?? 0);
  if (isMapped(words)) return `::ffff:${dotted(words[3] ?? 0)}`;
  const groups = Array.from({ length: 8 }, (_, index) => {
    const word = words[index >> 1] ?? 0;
    return index % 2 === 0 ? word >>> 16 : word & 0xffff;
  });
  const { start, length } = longestZeros(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function dotted(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

const DOT = 0x2e;
const COLON = 0x3a;

/** Four decimal numbers without leading zeros (which some read as octal); -1 when it is anything else. */
function ipv4Value(text: string, start: number, end: number): number {
  let value = 0;
  let parts = 0;
  let digits = 0;
  let part = 0;
  for (let i = start; i <= end; i++) {
    const code = i === end ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++parts > 4) return -1;
      value = value * 256 + part;
      digits = 0;
      part = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + digit;
    digits++;
    if (part > 255) return -1;
  }
  return parts === 4 ? value : -1;
}

/** Eight groups of one to four hexadecimal digits; `::` once for one or more zero groups; the last two may be dotted. */
function parseIpv6(text: string, end: number, into: IpWords): boolean {
  into.fill(0);
  let group = 0;
  let gapAt = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gapAt = 0;
    at = 2;
  }
  while (at < end) {
    if (group === 8) return false;
    let value = 0;
    const start = at;
    for (; at < end && at - start < 4; at++) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (at < end && text.charCodeAt(at) === DOT) {
      const dottedValue = group <= 6 ? ipv4Value(text, start, end) : -1;
      if (dottedValue < 0) return false;
      putGroup(into, group++, dottedValue >>> 16);
      putGroup(into, group++, dottedValue & 0xffff);
      break;
    }
    if (at === start) return false;
    putGroup(into, group++, value);
    if (at === end) break;
    if (text.charCodeAt(at++) !== COLON || at === end) return false;
    if (text.charCodeAt(at) !== COLON) continue;
    if (gapAt >= 0) return false;
    gapAt = group;
    at++;
  }
  if (gapAt < 0) return group === 8;
  if (group === 8) return false;
  openGap(into, gapAt, group);
  return true;
}

/** Moves the groups behind the gap to the end. */
function openGap(words: IpWords, gapAt: number, count: number): void {
  for (let from = count - 1, to = 7; from >= gapAt; from--, to--) {
    const word = words[from >> 1] ?? 0;
    const value = from % 2 === 0 ? word >>> 16 : word & 0xffff;
    putGroup(words, from, 0);
    putGroup(words, to, value);
  }
}

function putGroup(words: IpWords, group: number, value: number): void {
  const at = group >> 1;
  const word = words[at] ?? 0;
  words[at] = group % 2 === 0 ? (word & 0xffff) | (value << 16) : (word & 0xffff_0000) | value;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
