import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  errnoName,
  type Libc,
  SOCK_CLOEXEC,
} from '../linux/libc.ts';
import type { Poller } from '../linux/poller.ts';

/** One epoll instance: which sockets are watched, and what has happened at them. */

const LOOKS = 32;

/** The kernel packs `epoll_event` on x64 only (epoll_ctl(2), `__EPOLL_PACKED`): 12 bytes there, 16 elsewhere. */
export function createPoller(libc: Libc, maxEvents: number): Poller {
  const packed = process.arch === 'x64';
  const stride = packed ? 3 : 4;
  const fdAt = packed ? 1 : 2;
  const generationAt = fdAt + 1;

  const events = libc.pin(maxEvents * stride * 4);
  const words = new Uint32Array(events.bytes.buffer, events.bytes.byteOffset, maxEvents * stride);
  const one = libc.pin(16);
  const request = new Uint32Array(one.bytes.buffer, one.bytes.byteOffset, 4);

  const epfd = libc.epollCreate(SOCK_CLOEXEC);
  if (epfd < 0) throw new Error(`epoll_create1: ${errnoName(epfd)}`);

  function control(operation: number, fd: number, generation: number, mask: number): number {
    request[0] = mask;
    request[fdAt] = fd;
    request[generationAt] = generation;
    return libc.epollCtl(epfd, operation, fd, one.address);
  }

  return {
    words,
    stride,
    fdAt,
    generationAt,
    looks: LOOKS,
    keepsWatching: true,
    add: (fd, generation, mask) => control(EPOLL_CTL_ADD, fd, generation, mask),
    modify: (fd, generation, mask) => control(EPOLL_CTL_MOD, fd, generation, mask),
    remove: (fd) => void control(EPOLL_CTL_DEL, fd, 0, 0),
    forget: () => undefined, // close(2) does
    isLetGo: () => true,
    look: () => libc.epollWait(epfd, events.address, maxEvents, 0),
    wait: (timeoutMs) => libc.epollWait(epfd, events.address, maxEvents, timeoutMs),
    close: () => void libc.close(epfd),
  };
}
