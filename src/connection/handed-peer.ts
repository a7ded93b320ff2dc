import type { HandedPeer } from './handed.ts';
import type { Peer } from './wire.ts';

/** Every field of a peer but what its WebSocket has: one that is new must go over too. */
type Whole = { readonly [Field in Exclude<keyof Required<Peer>, 'request'>]: HandedPeer[Field] };

/** What is known of a device, as a plain value, which is a `Peer` again. */
export function describePeer(peer: Peer): HandedPeer {
  const { remoteAddress, ipv4, remotePort, destination, serverName, tlvs, tls } = peer;
  const whole: Whole = {
    ...{ remoteAddress, ipv4, remotePort, serverName },
    destination: destination && { address: destination.address, port: destination.port },
    tlvs: tlvs?.map(({ type, value }) => ({ type, value: new Uint8Array(value) })),
    tls: tls && {
      ...{ version: tls.version, cipher: tls.cipher, serverName: tls.serverName, alpn: tls.alpn },
      clientCertificateCn: tls.clientCertificateCn,
    },
  };
  return whole;
}
