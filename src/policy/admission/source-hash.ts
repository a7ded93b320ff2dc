import type { IpFamily, IpWords } from '../../protocol/address/ip.ts';
import { mix32 } from '../balance/hash.ts';

/** Apart from IPv4, whatever the address. */
const IPV6 = 0x5bd1_e995;

/**
 * One signed 32-bit number for one source: an IPv4 address, or the /64 network of an IPv6 address, because every host may
 * use all of a /64 (RFC 4862, RFC 7934). `seed` is random, so that nobody can aim at the cells of another.
 */
export function sourceHash(family: IpFamily | 0, words: IpWords, seed: number): number {
  if (family !== 6) return mix32((words[3] ?? 0) ^ seed) | 0;
  return mix32(mix32((words[0] ?? 0) ^ seed ^ IPV6) ^ (words[1] ?? 0)) | 0;
}
