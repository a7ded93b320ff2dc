import type { Peer, PeerTls } from '../connection/wire.ts';
import { newIpWords, parseIp } from '../protocol/address/ip.ts';
import { compileNetworks } from '../protocol/address/networks.ts';
import {
  expectHeader,
  type HeaderExpectation,
  type HeaderRefusal,
  type ProxyProtocolOptions,
} from '../protocol/proxy-protocol/expect.ts';
import type { Endpoint, ProxyHeader } from '../protocol/proxy-protocol/header.ts';
import type { Decoded } from '../protocol/proxy-protocol/result.ts';
import type { Tlv } from '../protocol/proxy-protocol/tlv.ts';

/** What both engines share of PROXY protocol headers: whose are expected, what a header says, and who the device is behind it. */

/** Connections of one engine that owe their header at one time; what more come are reset. */
export const MAX_HEADERS = 10_000;

/** Told before `accept` would have been asked; the connection is reset. */
export type OnHeaderRefused = (listenerIndex: number, refusal: HeaderRefusal, remoteAddress: string) => void;

/** What to expect of whoever connects from an address. */
export function expectations({
  mode,
  trusted,
}: ProxyProtocolOptions): (remoteAddress: string) => HeaderExpectation {
  const networks = compileNetworks(trusted);
  const words = newIpWords();
  return (address) => expectHeader(mode, networks.hasIp(parseIp(address, words), words));
}

/** What is to be done once so many bytes have come: wait until so many are there, go on (with a header, or none), or reset. */
type HeaderVerdict =
  | { readonly kind: 'wait'; readonly wantedBytes: number }
  | { readonly kind: 'go'; readonly header: ProxyHeader | undefined; readonly end: number }
  | { readonly kind: 'reset'; readonly refusal: HeaderRefusal };

export function judgeHeader(decoded: Decoded, expectation: 'read' | 'peek'): HeaderVerdict {
  if (decoded.kind === 'incomplete') return { kind: 'wait', wantedBytes: decoded.wantedBytes };
  if (decoded.kind === 'header') return { kind: 'go', header: decoded.header, end: decoded.end };
  if (decoded.fault === 'no-header' && expectation === 'peek')
    return { kind: 'go', header: undefined, end: 0 };
  return { kind: 'reset', refusal: decoded.fault };
}

/** The device that a trusted proxy speaks for; without addresses it speaks for itself (clause 2, LOCAL and UNKNOWN). */
export function proxied(proxy: Peer, header: ProxyHeader | undefined): Peer {
  if (header?.source === undefined) return proxy;
  return new ProxiedPeer(proxy, header.source, header.destination, header.tlvs);
}

class ProxiedPeer implements Peer {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly destination: Endpoint | undefined;
  readonly tlvs: readonly Tlv[];
  private readonly proxy: Peer;

  constructor(proxy: Peer, source: Endpoint, destination: Endpoint | undefined, tlvs: readonly Tlv[]) {
    this.proxy = proxy;
    this.remoteAddress = source.address;
    this.remotePort = source.port;
    this.destination = destination;
    this.tlvs = tlvs;
  }

  /** Between the proxy and us, or, where that passes it through, the device. */
  get tls(): PeerTls | undefined {
    return this.proxy.tls;
  }
}
