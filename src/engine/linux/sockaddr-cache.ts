import type { Target } from '../../connection/wire.ts';
import { encodeAddress, type SocketAddress } from './addresses.ts';
import { AF_INET, type Libc } from './libc.ts';

/** Encodes the addresses of each target for the kernel once, and remembers them. */

/** The addresses of the two ends of a link to a node, in the form in which the kernel takes them. */
export interface Sockaddrs {
  /** Undefined where a host is no IP literal, or the two are of different families. */
  readonly to: SocketAddress | undefined;
  readonly from: SocketAddress | undefined;
  /** Any recycled socket will do: the node has an IPv4 address, and the link has no source address of its own. */
  readonly isRecyclable: boolean;
}

/** Encodes the addresses of each target once, and remembers them as long as the target lives. */
export function createSockaddrCache(libc: Libc): (target: Target) => Sockaddrs {
  const known = new WeakMap<Target, Sockaddrs>();

  function find(target: Target): Sockaddrs {
    const { host, port, sourceAddress } = target;
    const to = encodeAddress(libc, host, port);
    // The port is left to the kernel.
    const from = sourceAddress === undefined ? undefined : encodeAddress(libc, sourceAddress, 0);
    const found = {
      to: from?.family === to?.family || sourceAddress === undefined ? to : undefined,
      from,
      isRecyclable: sourceAddress === undefined && to?.family === AF_INET,
    };
    known.set(target, found);
    return found;
  }

  return (target) => known.get(target) ?? find(target);
}
