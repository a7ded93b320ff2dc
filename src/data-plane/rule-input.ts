import type { Peer } from '../connection/wire.ts';
import type { RuleInput } from '../policy/routing/rules.ts';
import type { Connect } from '../protocol/mqtt/connect.ts';
import { toldTls } from '../protocol/proxy-protocol/tlv.ts';

/** What rules may look at: of an opaque protocol there is no CONNECT. A trusted proxy's word on TLS stands in for ours. */
export function ruleInput(
  { clientId, username, protocolVersion, cleanStart }: Partial<Connect>,
  peer: Peer,
  listener: string,
): RuleInput {
  return {
    ...{ clientId, username, protocolVersion, cleanStart, sourceAddress: peer.remoteAddress, listener },
    ...{ host: peer.request?.host, path: peer.request?.path },
    // TLS is asked only where a rule asks: a certificate takes time to parse.
    get sni() {
      return peer.serverName ?? peer.tls?.serverName ?? toldTls(peer.tlvs ?? []).sni;
    },
    get clientCn() {
      return clientCnOf(peer);
    },
  };
}

/** The common name in the device's verified certificate. */
export function clientCnOf(peer: Peer): string | undefined {
  return peer.tls?.clientCertificateCn ?? toldTls(peer.tlvs ?? []).clientCn;
}
