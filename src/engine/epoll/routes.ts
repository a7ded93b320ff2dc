import type { Target } from '../../connection/wire.ts';
import { encodeAddress, type SocketAddress } from './addresses.ts';
import { AF_INET, type Libc } from './libc.ts';

/** Where a link to a node goes, and from where, as the kernel wants it. */
export interface Route {
  /** Undefined where a host is no IP literal, or the two are of different families. */
  readonly to: SocketAddress | undefined;
  readonly from: SocketAddress | undefined;
  /** Any socket will do: IPv4, and no address of its own. */
  readonly isPlain: boolean;
}

/** The route of each target, found once. */
export function createRoutes(libc: Libc): (target: Target) => Route {
  const routes = new WeakMap<Target, Route>();

  function find(target: Target): Route {
    const { host, port, sourceAddress } = target;
    const to = encodeAddress(libc, host, port);
    // The port is left to the kernel.
    const from = sourceAddress === undefined ? undefined : encodeAddress(libc, sourceAddress, 0);
    const route = {
      to: from?.family === to?.family || sourceAddress === undefined ? to : undefined,
      from,
      isPlain: sourceAddress === undefined && to?.family === AF_INET,
    };
    routes.set(target, route);
    return route;
  }

  return (target) => routes.get(target) ?? find(target);
}
