import type { EndCause, Link } from '../../connection/wire.ts';
import { ECONNRESET, EPIPE, EPROTO, ETIMEDOUT } from './libc.ts';

/** What the streams tell the connection that owns a socket. Each of these may call the streams again. */
export interface Owner {
  deviceData(bytes: Uint8Array, start: number, end: number): void;
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void;
  /** The socket's FIN was read, or (any other cause) the socket is closed. */
  deviceEnded(cause: EndCause): void;
  linkEnded(link: Link, cause: EndCause): void;
  /** TCP is there: time for what goes before TLS, and then for `Openings.secure`. */
  linkOpened(link: Link): void;
  /** And TLS is. */
  linkSecured(link: Link): void;
  linkFailed(link: Link, reason: string): void;
  /** Nothing waits for the link any more. */
  linkDrained(fd: number): void;
  /** Has the node of a connecting link another address to try? */
  hasNextAddress(link: Link): boolean;
  /** Called once for every socket, after its fd was closed; must only take note. */
  socketClosed(fd: number): void;
  /** Whether bytes wait towards any of the connection's links. */
  linksWaiting(): boolean;
  /** Calls `each` with the fd of every open link. */
  eachLink(each: (fd: number) => void): void;
  readonly deviceFd: number;
}

/** What a positive errno of a socket is to its connection. */
export function causeOf(errno: number): EndCause {
  if (errno === ECONNRESET || errno === EPIPE) return 'reset';
  if (errno === EPROTO) return 'tls';
  return errno === ETIMEDOUT ? 'timeout' : 'error';
}
