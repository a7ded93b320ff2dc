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
/** Linux adds to a sleep what it takes for exact enough, which is 0.05 ms unless somebody has asked for another (PR_SET_TIMERSLACK in prctl(2)). */
const GATHER_NS = 50_000;

/** The kernel packs `epoll_event` on x64 only (epoll_ctl(2), `__EPOLL_PACKED`): 12 bytes there, 16 elsewhere. */
export function createPoller(libc: Libc, maxEvents: number): Poller {
  const packed = process.arch === 'x64';
  const stride = packed ? 3 : 4;
  const fdAt = packed ? 1 : 2;
  const generationAt = fdAt + 1;

  const events = libc.pin(maxEvents * stride * 4);
  const words = new Uint32Array(events.bytes.buffer, events.bytes.byteOffset, maxEvents * stride);
  const gathering = libc.pin(16); // struct timespec
  gathering.bytes.writeBigUInt64LE(BigInt(GATHER_NS), 8);
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

  const wait = (timeoutMs: number): number => libc.epollWait(epfd, events.address, maxEvents, timeoutMs);

  function gather(timeoutMs: number): number {
    const count = wait(0);
    if (count !== 0) return count;
    libc.nanosleep(gathering.address, 0);
    return wait(timeoutMs);
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
    look: () => wait(0),
    wait,
    gather,
    close: () => void libc.close(epfd),
  };
}
