import { BreakwaterError } from '../../base/errors.ts';
import type { BoundAddress, ListenOptions } from '../engine.ts';
import { encodeAddress } from './addresses.ts';
import * as c from './libc.ts';
import { errnoName, type Libc } from './libc.ts';
import type { Poller } from './poller.ts';
import type { Sockets } from './sockets.ts';

/** Binds listening sockets and accepts devices, and stops to accept for a while where descriptors run out. */

/** Accepts in one turn: bounded, so that a storm of connects does not starve the connected. */
const ACCEPTS_PER_TURN = 64;

/** What a process without a free descriptor tells whoever watches it. */
export interface AcceptPressure {
  /** Accepting has stopped; `reason` is an errno name such as `EMFILE`. It resumes by itself. */
  onAcceptPaused(reason: string): void;
  onAcceptResumed(): void;
}

/** The listening sockets of one thread. */
export class Listeners {
  private readonly libc: Libc;
  private readonly sockets: Sockets;
  private readonly poller: Poller;
  private readonly generation: Uint32Array;
  private readonly adopt: (fd: number, listenerIndex: number) => void;
  private readonly pressure: AcceptPressure;
  /** The index of the listener, by fd. */
  private readonly listening = new Map<number, number>();
  /** Of these, the ones that are not open yet. */
  private readonly held = new Set<number>();
  /** Given up for a moment when descriptors run out, so that waiting devices are refused instead of left hanging. */
  private reserve: number;
  private isPaused = false;

  /** `adopt` gets each accepted fd, while its address is in `sockets.remote`. */
  constructor(
    libc: Libc,
    sockets: Sockets,
    poller: Poller,
    generation: Uint32Array,
    adopt: (fd: number, listenerIndex: number) => void,
    pressure: AcceptPressure,
  ) {
    this.libc = libc;
    this.sockets = sockets;
    this.poller = poller;
    this.generation = generation;
    this.adopt = adopt;
    this.pressure = pressure;
    this.reserve = this.openReserve();
  }

  get paused(): boolean {
    return this.isPaused;
  }

  owns(fd: number): boolean {
    return this.listening.has(fd);
  }

  // ---- binding

  /** @throws BreakwaterError ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE */
  listen(options: ListenOptions): BoundAddress {
    const { inherited = [] } = options;
    const [first] = inherited;
    if (first !== undefined) {
      this.inherit(inherited, options);
      return this.sockets.localAddress(first);
    }
    const fd = this.bind(options);
    const { index, host, port, isHeld = false } = options;
    const added = fd < 0 ? fd : this.watch(fd, !isHeld);
    if (added < 0) {
      if (fd >= 0) this.libc.close(fd);
      throw new BreakwaterError(
        'ADDRESS_NOT_AVAILABLE',
        `cannot listen on ${host}:${port}: ${errnoName(added)}`,
      );
    }
    this.add(fd, index, isHeld);
    return this.sockets.localAddress(fd);
  }

  private add(fd: number, index: number, isHeld: boolean): void {
    this.listening.set(fd, index);
    if (isHeld) this.held.add(fd);
  }

  /** Sockets that listen already. @throws BreakwaterError UPGRADE_REFUSED; then none of them was taken */
  private inherit(fds: readonly number[], options: ListenOptions): void {
    const { index, isHeld = false, deviceGreets = false } = options;
    for (const [at, fd] of fds.entries()) {
      const added = fd < this.generation.length ? this.watch(fd, !isHeld) : -c.EMFILE;
      if (added >= 0) continue;
      for (const taken of fds.slice(0, at)) this.letGo(taken);
      throw new BreakwaterError(
        'UPGRADE_REFUSED',
        `cannot accept at an inherited socket: ${errnoName(added)}`,
      );
    }
    for (const fd of fds) {
      this.libc.take(fd, false);
      this.sockets.tuneListening(fd, deviceGreets);
      this.add(fd, index, isHeld);
    }
  }

  /** The sockets of one listener. */
  of(listenerIndex: number): number[] {
    return [...this.listening].filter(([, index]) => index === listenerIndex).map(([fd]) => fd);
  }

  /** A listening socket, or a negative errno. */
  private bind({ host, port, isFirst = false, deviceGreets = false }: ListenOptions): number {
    const address = encodeAddress(this.libc, host, port);
    if (address === undefined) {
      throw new BreakwaterError(
        'ADDRESS_NOT_AVAILABLE',
        `cannot listen on ${host}: give an IP address of this machine`,
      );
    }
    const taken = isFirst && port !== 0 ? this.sockets.probe(address) : 0;
    const fd = taken < 0 ? taken : this.sockets.listen(address, deviceGreets);
    if (fd !== -c.EADDRINUSE) return fd;
    const message = `${host}:${port} is in use by another program; stop it, or choose another address`;
    throw new BreakwaterError('ADDRESS_IN_USE', message);
  }

  private watch(fd: number, accepts: boolean): number {
    return this.poller.add(fd, this.generation[fd] as number, accepts ? c.EPOLLIN : 0);
  }

  private setAccepting(fd: number, accepts: boolean): void {
    this.poller.modify(fd, this.generation[fd] as number, accepts ? c.EPOLLIN : 0);
  }

  /** Those that were bound `isHeld` accept from now on. */
  open(listenerIndex: number): void {
    for (const fd of this.of(listenerIndex)) {
      if (this.held.delete(fd) && !this.isPaused) this.setAccepting(fd, true);
    }
  }

  hold(listenerIndex: number): void {
    for (const fd of this.of(listenerIndex)) {
      this.held.add(fd);
      this.setAccepting(fd, false);
    }
  }

  // ---- accepting

  /** Accepts what has arrived at a listening socket. */
  accept(fd: number): void {
    const index = this.listening.get(fd);
    if (index === undefined || this.held.has(fd)) return; // it was held behind the batch of this event
    for (let accepted = 0; accepted < ACCEPTS_PER_TURN; accepted++) {
      const device = this.sockets.accept(fd);
      if (device >= 0) this.adopt(device, index);
      else if (device === -c.EAGAIN) return;
      else if (device !== -c.EINTR && device !== -c.ECONNABORTED) {
        this.pause(fd, device);
        return;
      }
    }
  }

  private pause(fd: number, error: number): void {
    if (error === -c.EMFILE || error === -c.ENFILE) this.refuse(fd);
    for (const listener of this.listening.keys()) this.setAccepting(listener, false);
    this.isPaused = true;
    this.pressure.onAcceptPaused(errnoName(error));
  }

  private refuse(fd: number): void {
    if (this.reserve >= 0) this.libc.close(this.reserve);
    for (let refused = 0; refused < ACCEPTS_PER_TURN; refused++) {
      const device = this.sockets.accept(fd);
      if (device < 0) break;
      this.sockets.reset(device);
    }
    this.reserve = this.openReserve();
  }

  private openReserve(): number {
    return this.libc.open('/dev/null', c.SOCK_CLOEXEC);
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (this.reserve < 0) this.reserve = this.openReserve();
    for (const fd of this.listening.keys()) if (!this.held.has(fd)) this.setAccepting(fd, true);
    this.pressure.onAcceptResumed();
  }

  // ---- closing

  /** Closes the sockets of one listener. What had arrived there and was not accepted yet is reset by the kernel. */
  closeOne(listenerIndex: number): void {
    for (const [fd, index] of this.listening) if (index === listenerIndex) this.drop(fd);
  }

  close(): void {
    for (const fd of this.listening.keys()) this.drop(fd);
    if (this.reserve >= 0) this.libc.close(this.reserve);
    this.reserve = -1;
  }

  private drop(fd: number): void {
    this.letGo(fd);
    this.libc.close(fd);
    this.listening.delete(fd);
    this.held.delete(fd);
  }

  /** It is told of no more. Where another process has the socket too, closing it would not see to that. */
  private letGo(fd: number): void {
    this.poller.remove(fd);
    this.poller.forget(fd);
    this.generation[fd] = (this.generation[fd] as number) + 1;
  }
}
