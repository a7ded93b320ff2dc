import { z } from 'zod';
import { bytes } from '../base/handed-shapes.ts';
import { readHanded } from '../base/read-handed.ts';

/**
 * The sockets of one connection as a value, which another engine can go on with, of this process or another: the descriptors are
 * duplicates then. It survives structured clone, and is read by its schema where it comes from another process.
 */

/** Descriptors stay below this in every process (`descriptors.ts`). */
const fd = z.int().min(0);
const count = z.number().min(0);

const socketShape = {
  fd,
  /** The TLS connection, with its keys (`protocol/tls-record/snapshot.ts`): never logged, and wiped by `adopt`. Absent: plain TCP. */
  tls: bytes.optional(),
  /** What was received and is still to be read, first to last: with TLS as it came, behind the unopened records of `tls`. */
  unread: bytes,
  /** What is still to be sent, first to last. */
  waiting: bytes,
  /** The other end's FIN was read. */
  hasEnded: z.boolean(),
  /** Ours: none, or it follows what waits, or it was sent. */
  fin: z.enum(['none', 'wanted', 'sent']),
  /** The connection does not want to read it at present. */
  isHeld: z.boolean(),
};

const handedLink = z.strictObject({
  ...socketShape,
  link: z.int().min(0),
  /** The engine moves bytes between it and the device by itself. */
  isSpliced: z.boolean(),
  /** The connection has left it by `endNode`: it sends what waits, then FIN, and ends after so many ms at most. 0: it was not left. */
  lingerMs: count,
});

export const handedSockets = z.strictObject({
  device: z.strictObject(socketShape),
  /** Those that are open, in the order in which they were dialled. */
  links: z.array(handedLink).readonly(),
  /** The number of the next link is greater than this. */
  lastLink: z.int().min(-1),
  /** By `Wire.numbered`. */
  number: z.int().min(0),
  /** Payload bytes since accept. */
  fromDevice: count,
  toDevice: count,
  /** They are counted somewhere, by `Wire.countAt`. */
  isCounted: z.boolean(),
  /** When the connection's timer fires; 0: it is not set. */
  timerMs: count,
});

export type HandedSockets = z.infer<typeof handedSockets>;
export type HandedLink = z.infer<typeof handedLink>;
export type HandedSocket = HandedSockets['device'];

/** @throws BreakwaterError HANDOVER_INVALID */
export function readHandedSockets(value: unknown): HandedSockets {
  return readHanded(handedSockets, value, 'a socket');
}

/** All descriptors of a connection, in an order that `withDescriptors` knows. */
export function descriptorsOf({ device, links }: HandedSockets): number[] {
  return [device.fd, ...links.map((link) => link.fd)];
}

/** The same sockets by the descriptors of another process, as many as there are sockets. */
export function withDescriptors(sockets: HandedSockets, fds: readonly number[]): HandedSockets {
  const at = (index: number): number => readHanded(fd, fds[index], 'a descriptor');
  return {
    ...sockets,
    device: { ...sockets.device, fd: at(0) },
    links: sockets.links.map((link, index) => ({ ...link, fd: at(index + 1) })),
  };
}
