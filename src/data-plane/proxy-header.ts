import type { Peer, Target } from '../connection/wire.ts';
import {
  encodeProxyV1,
  encodeProxyV2,
  type ProxyFacts,
  type V2Fields,
} from '../protocol/proxy-protocol/encode.ts';

/** How the nodes of a pool learn which device a connection belongs to. */
interface ProxyHeaderConfig {
  readonly proxyProtocol: 'none' | 'v1' | 'v2';
  readonly proxyProtocolFields: V2Fields;
}

/** The PROXY protocol header of a device, the same on each of its links. */
type HeaderOf = (peer: Peer) => Uint8Array;

/** Undefined where nodes get no header. `nowMs` is the wall clock's. */
export function createProxyHeader(config: ProxyHeaderConfig, nowMs: () => number): HeaderOf | undefined {
  const { proxyProtocol, proxyProtocolFields: fields } = config;
  if (proxyProtocol === 'none') return undefined;
  const known = new WeakMap<Peer, Uint8Array>();

  return (peer) => {
    let header = known.get(peer);
    if (header === undefined) {
      const facts = factsOf(peer, nowMs());
      header = proxyProtocol === 'v1' ? encodeProxyV1(facts) : encodeProxyV2(facts, fields);
      known.set(peer, header);
    }
    return header;
  };
}

function factsOf(
  { remoteAddress, remotePort, destination, tls, tlvs, serverName }: Peer,
  nowMs: number,
): ProxyFacts {
  return {
    source: { address: remoteAddress, port: remotePort },
    destination,
    authority: serverName,
    chained: tlvs,
    // The address as the log has it, and the time, because ports come again.
    uniqueId: Buffer.from(`${remoteAddress}:${remotePort}-${Math.floor(nowMs).toString(36)}`, 'latin1'),
    tls: tls && {
      version: tls.version,
      cipher: tls.cipher,
      sni: tls.serverName,
      alpn: tls.alpn,
      clientCertificate:
        tls.clientCertificateCn === undefined
          ? undefined
          : { commonName: tls.clientCertificateCn, isVerified: true },
    },
  };
}

/** The same candidates, each with the device's header. */
export function* withHeader(
  candidates: Iterator<Target, undefined>,
  header: Uint8Array,
): Generator<Target, undefined> {
  for (let next = candidates.next(); !next.done; next = candidates.next()) yield { ...next.value, header };
  return undefined;
}
