import { isIP } from 'node:net';
import { uint32 } from '../../base/bytes.ts';
import type { Peer } from '../../connection/wire.ts';
import type { IpSource } from '../../protocol/address/ip.ts';
import type { Endpoint } from '../../protocol/proxy-protocol/header.ts';
import { AF_INET, AF_INET6, type Libc } from './libc.ts';

/** Socket addresses between the form of the kernel (`sockaddr`) and text, and the address of a device as `Peer`. */

/** A `sockaddr_in` or `sockaddr_in6` in pinned memory, to pass to bind and connect (ip(7), ipv6(7)). */
export interface SocketAddress {
  readonly family: number;
  readonly address: number;
  readonly length: number;
  /** Where it lies: an address alone would not keep the memory from the garbage collector. */
  readonly bytes: Buffer;
}

export const SOCKADDR_BYTES = 28;

/** `undefined` where `host` is not an IP literal. */
export function encodeAddress(libc: Libc, host: string, port: number): SocketAddress | undefined {
  const version = isIP(host);
  if (version === 0) return undefined;
  const family = version === 6 ? AF_INET6 : AF_INET;
  const { bytes, address } = libc.pin(SOCKADDR_BYTES);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(port, 2);
  if (libc.inetPton(family, host, address + (version === 6 ? 8 : 4)) !== 1) return undefined;
  return { family, address, length: version === 6 ? 28 : 16, bytes };
}

export function portOf(sockaddr: Buffer): number {
  return sockaddr.readUInt16BE(2);
}

/** The IP literal; an IPv4 device of a dual-stack listener is shown as IPv4, because rules and hashes want that. */
export function hostOf(sockaddr: Buffer): string {
  if (sockaddr.readUInt16LE(0) === AF_INET) return ipv4(sockaddr, 4);
  const mapped = sockaddr.readUInt32BE(16) === 0xffff && isZero(sockaddr, 8, 16);
  return mapped ? ipv4(sockaddr, 20) : ipv6(sockaddr);
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false;
  return true;
}

function ipv4(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function ipv6(sockaddr: Buffer): string {
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(sockaddr.readUInt16BE(at).toString(16));
  let longest = { start: 0, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > longest.length) longest = { start, length };
  }
  if (longest.length < 2) return groups.join(':');
  const tail = groups.slice(longest.start + longest.length);
  return `${groups.slice(0, longest.start).join(':')}::${tail.join(':')}`;
}

/** Knows where a device connected to, as long as its socket is open. */
interface LocalEnd {
  readonly destination: Endpoint | undefined;
}

/** A device whose addresses become text only when somebody asks. */
class Ipv4Peer implements Peer {
  readonly ipv4: number;
  readonly remotePort: number;
  private readonly localEnd: LocalEnd;

  constructor(ipv4: number, port: number, localEnd: LocalEnd) {
    this.ipv4 = ipv4;
    this.remotePort = port;
    this.localEnd = localEnd;
  }

  get remoteAddress(): string {
    const { ipv4 } = this;
    return `${ipv4 >>> 24}.${(ipv4 >>> 16) & 255}.${(ipv4 >>> 8) & 255}.${ipv4 & 255}`;
  }

  get destination(): Endpoint | undefined {
    return this.localEnd.destination;
  }
}

const nowhere: LocalEnd = { destination: undefined };

/** Where `accept4` says that a device comes from. */
export function sourceOf(sockaddr: Buffer): IpSource {
  return peerOf(sockaddr, nowhere);
}

/** The device that `accept4` has just described; the buffer may be overwritten afterwards. */
export function peerOf(sockaddr: Buffer, localEnd: LocalEnd): Peer {
  const port = (((sockaddr[2] as number) << 8) | (sockaddr[3] as number)) >>> 0;
  if (sockaddr[0] === AF_INET) return new Ipv4Peer(uint32(sockaddr, 4), port, localEnd);
  return {
    remoteAddress: hostOf(sockaddr),
    remotePort: port,
    get destination() {
      return localEnd.destination;
    },
  };
}
