import type { Target } from '../../connection/wire.ts';
import { encodeAddress, type SocketAddress } from './addresses.ts';
import { EINVAL, type Libc } from './libc.ts';
import type { Sockets } from './sockets.ts';

/** Opens links to nodes. Returns the connecting fd or a negative errno, EINVAL where a host is no IP literal. */
export type Dial = (target: Target, greets: boolean) => number;

interface Route {
  readonly to: SocketAddress | undefined;
  readonly from: SocketAddress | undefined;
}

export function createDialler(libc: Libc, sockets: Sockets): Dial {
  const routes = new WeakMap<Target, Route>();

  function routeOf(target: Target): Route {
    const { host, port, sourceAddress } = target;
    const to = encodeAddress(libc, host, port);
    // The port is left to the kernel.
    const from = sourceAddress === undefined ? undefined : encodeAddress(libc, sourceAddress, 0);
    const route = { to: from?.family === to?.family || sourceAddress === undefined ? to : undefined, from };
    routes.set(target, route);
    return route;
  }

  return function dial(target, greets) {
    const { to, from } = routes.get(target) ?? routeOf(target);
    return to === undefined ? -EINVAL : sockets.dial(to, from, greets, target.isTransparent === true);
  };
}
