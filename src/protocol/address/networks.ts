import { formatIp, type IpFamily, type IpWords, newIpWords, parseIp } from './ip.ts';

/** A set of networks, compiled for lookup: as many networks as one likes cost a binary search of a few steps. */
interface NetworkSet {
  /** Is the address in one of the networks? Text that is no address is in none. */
  has(address: string): boolean;
  /** The same for an address that is parsed already. */
  hasIp(family: IpFamily | 0, words: IpWords): boolean;
}

/**
 * Compiles addresses and CIDR blocks. IPv4 networks hold IPv4 devices, whether a dual-stack listener writes them as
 * IPv6 or not; IPv6 networks hold IPv6 devices only, `::/0` too.
 * @throws Error that names a network which cannot be read
 */
export function compileNetworks(networks: readonly string[]): NetworkSet {
  const ranges = networks.map(rangeOf);
  const tables = {
    4: compileRanges(ranges.filter(({ family }) => family === 4)),
    6: compileRanges(ranges.filter(({ family }) => family === 6)),
  };
  const words = newIpWords();
  const hasIp = (family: IpFamily | 0, ip: IpWords): boolean => family !== 0 && isWithin(tables[family], ip);
  return { hasIp, has: (address) => hasIp(parseIp(address, words), words) };
}

interface Range {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
}

/** A network as it is written, read. */
export interface Network {
  readonly family: IpFamily;
  /** One of its addresses. */
  readonly words: IpWords;
  /** Leading bits that all its addresses have in common: 0 to 32, or to 128. */
  readonly bits: number;
}

/**
 * Reads an address or a CIDR block; an IPv4 block may be written in its IPv6 form.
 * @throws Error that names a network which cannot be read
 */
export function parseNetwork(network: string): Network {
  const [address = '', prefix, ...rest] = network.split('/');
  const words = newIpWords();
  const family = parseIp(address, words);
  const most = family === 4 ? 32 : 128;
  // `::ffff:10.0.0.0/104` is 10.0.0.0/8 in its IPv6 form
  const bits =
    prefix === undefined ? most : Number(prefix) - (family === 4 && address.includes(':') ? 96 : 0);
  const isPrefix = prefix === undefined || /^\d{1,3}$/.test(prefix);
  if (family === 0 || rest.length > 0 || !isPrefix || bits < 0 || bits > most) {
    throw new Error(`'${network}' is no IP address and no CIDR block such as 10.1.0.0/16`);
  }
  return { family, words, bits };
}

/** The one text of a network, whichever of its addresses is given: `10.1.0.0/16`, `2001:db8::/32`, `10.1.2.3/32`. */
export function networkText({ family, words, bits }: Network): string {
  const leading = family === 4 ? bits + 96 : bits;
  const first = words.map((word, i) => word & maskOf(leading - 32 * i));
  return `${formatIp(family, first)}/${bits}`;
}

/** So many leading bits of a word, all where it is more than 32, none where it is less than 1. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffff_ffff : ~(0xffff_ffff >>> bits);
}

function rangeOf(network: string): Range {
  const { family, words, bits } = parseNetwork(network);
  const value = words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  const host = (1n << BigInt((family === 4 ? 32 : 128) - bits)) - 1n;
  return { family, first: value & ~host, last: value | host };
}

/** Disjoint ranges in ascending order: first and last of each, four words apiece. */
type RangeTable = Uint32Array;
const STRIDE = 8;

function compileRanges(ranges: readonly Range[]): RangeTable {
  const merged: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = merged.at(-1);
    if (before === undefined || first > before.last + 1n) merged.push({ first, last });
    else if (last > before.last) before.last = last;
  }
  return Uint32Array.from(merged.flatMap(({ first, last }) => [...wordsOf(first), ...wordsOf(last)]));
}

function wordsOf(value: bigint): number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((value >> shift) & 0xffff_ffffn));
}

/** The last range that begins at or before the address is the only one that can hold it. */
function isWithin(table: RangeTable, ip: IpWords): boolean {
  let low = 0;
  let high = table.length / STRIDE;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(table, middle * STRIDE, ip) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && compare(table, (low - 1) * STRIDE + 4, ip) >= 0;
}

function compare(table: RangeTable, at: number, ip: IpWords): number {
  for (let i = 0; i < 4; i++) {
    const difference = (table[at + i] as number) - (ip[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
