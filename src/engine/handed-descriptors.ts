import type { HandedSockets } from './handed-sockets.ts';

/** The descriptors of a connection that goes over: of the device, then of its links. */

export function descriptorsOf({ device, links }: HandedSockets): number[] {
  return [device.fd, ...links.map((link) => link.fd)];
}

/** The same sockets by the descriptors that they have elsewhere. @throws RangeError where there are not as many */
export function withDescriptors(sockets: HandedSockets, fds: readonly number[]): HandedSockets {
  const [own = -1, ...others] = fds;
  if (others.length !== sockets.links.length || own < 0)
    throw new RangeError('the descriptors are not those of the sockets');
  return {
    ...sockets,
    device: { ...sockets.device, fd: own },
    links: sockets.links.map((link, index) => ({ ...link, fd: others[index] as number })),
  };
}
