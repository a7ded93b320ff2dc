import type { Target } from '../../connection/wire.ts';
import { encodeAddress, type SocketAddress } from './addresses.ts';
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, type Libc } from './libc.ts';
import { encodeSources, type Sockets } from './sockets.ts';

/**
 * Opens links to nodes, taking the source addresses in turn: each brings its own 28,000 ports for one node address.
 * Returns the connecting fd or a negative errno, EINVAL where the host is no IP literal.
 */
export type Dial = (target: Target) => number;

export function createDialler(libc: Libc, sockets: Sockets, sourceHosts: readonly string[]): Dial {
  const sources = encodeSources(libc, sourceHosts);
  const encoded = new WeakMap<Target, SocketAddress>();
  let turn = 0;

  function addressOf(target: Target): SocketAddress | undefined {
    const known = encoded.get(target);
    if (known !== undefined) return known;
    const address = encodeAddress(libc, target.host, target.port);
    if (address !== undefined) encoded.set(target, address);
    return address;
  }

  return function dial(target) {
    const to = addressOf(target);
    if (to === undefined) return -EINVAL;
    let result = sources.some((source) => source.family === to.family)
      ? -EADDRNOTAVAIL
      : sockets.dial(to, undefined);
    for (let tried = 0; tried < sources.length; tried++) {
      if (result !== -EADDRNOTAVAIL && result !== -EADDRINUSE) break; // only a full source is worth the next one
      const source = sources[turn++ % sources.length] as SocketAddress;
      if (source.family === to.family) result = sockets.dial(to, source);
    }
    return result;
  };
}
