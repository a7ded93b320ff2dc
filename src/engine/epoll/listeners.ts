import { BreakwaterError } from '../../base/errors.ts';
import type { BoundAddress, ListenOptions } from '../engine.ts';
import { encodeAddress } from './addresses.ts';
import * as c from './libc.ts';
import { errnoName, type Libc } from './libc.ts';
import type { Poller } from './poller.ts';
import type { Sockets } from './sockets.ts';

/** Accepts in one turn: bounded, so that a storm of connects does not starve the connected. */
const ACCEPTS_PER_TURN = 64;

/** What a process without a free descriptor tells whoever watches it. */
export interface AcceptPressure {
  /** Accepting has stopped; `reason` is an errno name such as `EMFILE`. It resumes by itself. */
  onAcceptPaused(reason: string): void;
  onAcceptResumed(): void;
}

/** The listening sockets of one thread. */
export interface Listeners {
  readonly paused: boolean;
  /** @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE */
  listen(options: ListenOptions): BoundAddress;
  /** Those that were bound `isHeld` accept from now on. */
  open(listenerIndex: number): void;
  owns(fd: number): boolean;
  /** Accepts what has arrived; each fd goes to `adopt`, its address in `sockets.remote`. */
  accept(fd: number): void;
  resume(): void;
  /** The sockets of one listener. What had arrived there and was not accepted yet is reset by the kernel. */
  closeOne(listenerIndex: number): void;
  close(): void;
}

export function createListeners(
  libc: Libc,
  sockets: Sockets,
  poller: Poller,
  generation: Uint32Array,
  adopt: (fd: number, listenerIndex: number) => void,
  pressure: AcceptPressure,
): Listeners {
  const listening = new Map<number, number>();
  /** Of these, the ones that are not open yet. */
  const held = new Set<number>();
  // Given up for a moment when descriptors run out, so that waiting devices are refused instead of left hanging.
  let reserve = openReserve();
  let paused = false;

  function openReserve(): number {
    return libc.open('/dev/null', c.SOCK_CLOEXEC);
  }

  function listen(options: ListenOptions): BoundAddress {
    const { index, host, port, isFirst = false, deviceGreets = false, isHeld = false } = options;
    const address = encodeAddress(libc, host, port);
    if (address === undefined) {
      throw new BreakwaterError(
        'ADDRESS_NOT_AVAILABLE',
        `cannot listen on ${host}: give an IP address of this machine`,
      );
    }
    const taken = isFirst && port !== 0 ? sockets.probe(address) : 0;
    const fd = taken < 0 ? taken : sockets.listen(address, deviceGreets);
    if (fd === -c.EADDRINUSE) {
      const message = `${host}:${port} is in use by another program; stop it, or choose another address`;
      throw new BreakwaterError('ADDRESS_IN_USE', message);
    }
    const added = fd < 0 ? fd : poller.add(fd, generation[fd] as number, isHeld ? 0 : c.EPOLLIN);
    if (added < 0) {
      if (fd >= 0) libc.close(fd);
      throw new BreakwaterError(
        'ADDRESS_NOT_AVAILABLE',
        `cannot listen on ${host}:${port}: ${errnoName(added)}`,
      );
    }
    listening.set(fd, index);
    if (isHeld) held.add(fd);
    return sockets.localAddress(fd);
  }

  function open(listenerIndex: number): void {
    for (const fd of held) {
      if (listening.get(fd) !== listenerIndex) continue;
      held.delete(fd);
      if (!paused) poller.modify(fd, generation[fd] as number, c.EPOLLIN);
    }
  }

  function accept(fd: number): void {
    const index = listening.get(fd);
    if (index === undefined) return;
    for (let accepted = 0; accepted < ACCEPTS_PER_TURN; accepted++) {
      const device = sockets.accept(fd);
      if (device >= 0) adopt(device, index);
      else if (device === -c.EAGAIN) return;
      else if (device !== -c.EINTR && device !== -c.ECONNABORTED) {
        pause(fd, device);
        return;
      }
    }
  }

  function pause(fd: number, error: number): void {
    if (error === -c.EMFILE || error === -c.ENFILE) refuse(fd);
    for (const listener of listening.keys()) poller.modify(listener, generation[listener] as number, 0);
    paused = true;
    pressure.onAcceptPaused(errnoName(error));
  }

  function refuse(fd: number): void {
    if (reserve >= 0) libc.close(reserve);
    for (let refused = 0; refused < ACCEPTS_PER_TURN; refused++) {
      const device = sockets.accept(fd);
      if (device < 0) break;
      sockets.reset(device);
    }
    reserve = openReserve();
  }

  function resume(): void {
    if (!paused) return;
    paused = false;
    if (reserve < 0) reserve = openReserve();
    for (const listener of listening.keys())
      if (!held.has(listener)) poller.modify(listener, generation[listener] as number, c.EPOLLIN);
    pressure.onAcceptResumed();
  }

  function drop(fd: number): void {
    libc.close(fd);
    generation[fd] = (generation[fd] as number) + 1;
    listening.delete(fd);
    held.delete(fd);
  }

  function closeOne(listenerIndex: number): void {
    for (const [fd, index] of listening) if (index === listenerIndex) drop(fd);
  }

  function close(): void {
    for (const fd of listening.keys()) drop(fd);
    if (reserve >= 0) libc.close(reserve);
    reserve = -1;
  }

  return {
    get paused() {
      return paused;
    },
    listen,
    open,
    owns: (fd) => listening.has(fd),
    accept,
    resume,
    closeOne,
    close,
  };
}
