import { execFile } from 'node:child_process';
import {
  AF_UNIX,
  EAGAIN,
  EINTR,
  errnoName,
  type Libc,
  loadLibc,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from './linux/libc.ts';

/** Sends datagrams to the socket of a service manager, as sd_notify(3) does. */

/** False: the queue of the receiver is full, so it is to be sent again. @throws Error where it cannot be sent */
export type SendNotice = (text: string) => boolean;

/** `struct sockaddr_un`: the family, and a path. */
const FAMILY_BYTES = 2;
const PATH_MAX_BYTES = 108;

/**
 * @param address the path of the socket; one that begins with `@` is of the abstract namespace (unix(7))
 * @returns how to send; by the program `systemd-notify` where libc cannot be called
 * @throws Error where this is no such address
 */
export function createNotifySocket(address: string, load: () => Libc = loadLibc): SendNotice {
  const path = Buffer.from(address);
  if (!/^[/@]./.test(address) || path.length >= PATH_MAX_BYTES)
    throw new Error('it is neither a path nor the name of an abstract socket');
  let libc: Libc;
  try {
    libc = load();
  } catch {
    return byProgram;
  }
  if (path[0] === 0x40) path[0] = 0; // `@`
  const target = libc.pin(FAMILY_BYTES + PATH_MAX_BYTES);
  target.bytes.writeUInt16LE(AF_UNIX, 0);
  path.copy(target.bytes, FAMILY_BYTES);
  // The name of an abstract socket ends with the address, that of a file with a zero byte.
  const targetBytes = FAMILY_BYTES + path.length + (path[0] === 0 ? 0 : 1);
  return (text) => sendOnce(libc, { address: target.address, length: targetBytes }, text);
}

/** With a socket of its own each time: whoever listens may have been started again. */
function sendOnce(
  libc: Libc,
  target: { readonly address: number; readonly length: number },
  text: string,
): boolean {
  const message = Buffer.from(text);
  const { bytes, address } = libc.pin(message.length);
  message.copy(bytes);
  const fd = ok(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  try {
    ok(libc.connect(fd, target.address, target.length));
    const sent = libc.send(fd, address, message.length, MSG_NOSIGNAL);
    if (sent === -EAGAIN || sent === -EINTR) return false;
    ok(sent);
    return true;
  } finally {
    libc.close(fd);
  }
}

function ok(result: number): number {
  if (result < 0) throw new Error(errnoName(result));
  return result;
}

/** It finds the socket by the environment. That of a service needs `NotifyAccess=all`, because it is another process. */
function byProgram(text: string): boolean {
  execFile('systemd-notify', text.split('\n'), { timeout: 5_000 }, () => {}); // it says nothing that could be acted on
  return true;
}
