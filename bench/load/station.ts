import { createPoller } from '../../src/engine/epoll/poller.ts';
import { encodeAddress, type SocketAddress } from '../../src/engine/linux/addresses.ts';
import * as c from '../../src/engine/linux/libc.ts';
import { type Libc, loadLibc, type Pinned } from '../../src/engine/linux/libc.ts';
import { type Poller, STREAM_EVENTS } from '../../src/engine/linux/poller.ts';
import { DEFAULT_KEEP_ALIVE, Sockets } from '../../src/engine/linux/sockets.ts';

/** What is done with the events of one socket. */
export interface Role {
  event(fd: number, mask: number): void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Descriptors of one load, devices and nodes together. */
export const MAX_FD = 40_000;
const RECEIVE_BYTES = 65_536;

/** A bare epoll loop for devices and nodes: a slow generator would hide a fast proxy. */
export class Station {
  readonly libc: Libc = loadLibc();
  readonly scratch: Pinned;
  readonly sockets: Sockets;
  private readonly poller: Poller;
  private readonly roles: (Role | undefined)[] = new Array(MAX_FD).fill(undefined);
  private readonly generation = new Uint32Array(MAX_FD);
  private readonly addresses = new Map<string, SocketAddress>();

  constructor() {
    this.scratch = this.libc.pin(RECEIVE_BYTES);
    this.sockets = new Sockets(this.libc, DEFAULT_KEEP_ALIVE);
    this.poller = createPoller(this.libc, 1024);
  }

  /** One round of events; 0 does not wait, -1 waits until there is one. */
  turn(timeoutMs: number): void {
    const { poller, generation } = this;
    const { words, stride, fdAt, generationAt } = poller;
    const count = poller.wait(timeoutMs);
    for (let i = 0, at = 0; i < count; i++, at += stride) {
      const fd = words[at + fdAt] as number;
      if (generation[fd] === words[at + generationAt]) this.roles[fd]?.event(fd, words[at] as number);
    }
  }

  listen(at: Address, role: Role): void {
    const fd = must('listen', this.sockets.listen(this.encoded(at), false));
    const accept: Role = {
      event: (listener) => {
        for (
          let device = this.sockets.accept(listener);
          device >= 0;
          device = this.sockets.accept(listener)
        ) {
          this.watch(device, role);
        }
      },
    };
    this.roles[fd] = accept;
    this.poller.add(fd, this.generation[fd] as number, c.EPOLLIN);
  }

  /** `from` is an address of this machine; absent: the kernel chooses. `greets`: something is sent as soon as it is open. */
  dial(to: Address, role: Role, from?: string, greets = true): number {
    const source = from === undefined ? undefined : this.encoded({ host: from, port: 0 });
    const fd = must('dial', this.sockets.dial(this.encoded(to), source, greets));
    this.sockets.setNoDelay(fd); // a device waits for no acknowledgement before it sends on
    this.watch(fd, role);
    return fd;
  }

  private watch(fd: number, role: Role): void {
    this.roles[fd] = role;
    this.poller.add(fd, this.generation[fd] as number, STREAM_EVENTS);
  }

  private encoded(at: Address): SocketAddress {
    const key = `${at.host} ${at.port}`;
    const known = this.addresses.get(key) ?? encodeAddress(this.libc, at.host, at.port);
    if (known === undefined) throw new Error(`${at.host} is not an address`);
    this.addresses.set(key, known);
    return known;
  }

  /** Bytes received into `scratch`, 0 for FIN, or the negative errno. */
  receive(fd: number): number {
    return this.libc.recv(fd, this.scratch.address, RECEIVE_BYTES, 0);
  }

  send(fd: number, from: Pinned, length: number): void {
    const sent = this.libc.send(fd, from.address, length, c.MSG_NOSIGNAL);
    if (sent !== length && sent >= 0)
      throw new Error(`short send of ${sent}: the load is heavier than the path`);
  }

  /** As much as the path takes now: the bytes that it took, or the negative errno. */
  sendSome(fd: number, from: Pinned, offset: number, length: number): number {
    return this.libc.send(fd, from.address + offset, length, c.MSG_NOSIGNAL);
  }

  reset(fd: number): void {
    this.forget(fd);
    this.sockets.reset(fd);
  }

  close(fd: number): void {
    this.forget(fd);
    this.libc.close(fd);
  }

  private forget(fd: number): void {
    this.generation[fd] = (this.generation[fd] as number) + 1;
    this.roles[fd] = undefined;
  }
}

function must(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: ${c.errnoName(result)}`);
  return result;
}
