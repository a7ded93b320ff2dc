import { closeSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { loadKoffi } from './koffi.ts';

/** A Unix socket between two processes of one machine, which carries bytes and open descriptors. */

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_PEEK = 0x2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SHUT_WR = 1;
const SHUT_RDWR = 2;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** The kernel takes 253 in one call (`SCM_MAX_FD`). */
const DESCRIPTORS_PER_CALL = 250;
const CONTROL_HEADER_BYTES = 16; // struct cmsghdr: length, level, type
const MESSAGE_BYTES = 56; // struct msghdr
/** The length of what follows, and how many descriptors come with it. */
const FRAME_HEADER_BYTES = 8;
/** A longer frame is no frame of ours. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

/** What one end sent in one call. */
export interface Parcel {
  readonly bytes: Uint8Array;
  /** Descriptors of this process: whoever receives them closes them. */
  readonly descriptors: readonly number[];
}

/**
 * One end of a pair of Unix sockets (socketpair(2)). It has no name in the file system, so that only these two processes
 * ever have it. The calls block in a thread of libuv's pool, never in that of the caller. Each end sends one parcel at a time, and awaits one.
 */
export interface DescriptorSocket {
  /** Resolves when the kernel has it. @throws Error where the other end is gone */
  send(parcel: Parcel): Promise<void>;
  /** Undefined: the other end is gone. @throws Error where this process has no free descriptor for what came */
  receive(): Promise<Parcel | undefined>;
  /** What waits in `receive` gets its end. */
  close(): void;
  /** Nothing is sent or received here any more, and nothing may wait: the descriptor is the caller's. */
  release(): number;
}

/** A pair of connected sockets: for `openDescriptorSocket` here, and in a child that inherits the other one. @throws Error */
export function descriptorPair(): { readonly ours: number; readonly theirs: number } {
  const { koffi, libc } = load();
  const pair = Buffer.allocUnsafeSlow(8);
  const failed = libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, Number(koffi.address(pair)));
  if (failed < 0) throw new Error(`socketpair: errno ${koffi.errno()}`);
  return { ours: pair.readInt32LE(0), theirs: pair.readInt32LE(4) };
}

/**
 * A descriptor that two processes can have, and out of which one of them can take something, once.
 * @throws Error
 */
export function createToken(): number {
  const { ours, theirs } = descriptorPair();
  writeSync(ours, Uint8Array.of(1));
  closeSync(ours);
  return theirs;
}

/** Without waiting. False: no byte is there, such as that of a token which the other process has taken. */
export function takeByte(fd: number): boolean {
  return receiveByte(fd, 0) === 1;
}

/** Nobody has the other end any more; what the other end may have sent stays. */
export function hasEnded(fd: number): boolean {
  return receiveByte(fd, MSG_PEEK) === 0;
}

/** As recv(2), of one byte, without waiting: 0 at the end of the stream, negative where nothing is there. */
function receiveByte(fd: number, flags: number): number {
  const { koffi, libc } = load();
  const byte = Buffer.allocUnsafeSlow(1);
  return libc.recv(fd, Number(koffi.address(byte)), 1, flags | MSG_DONTWAIT);
}

/** One byte for whoever has the other end, without waiting: where it has no room there are many already. */
export function giveByte(fd: number): void {
  const { koffi, libc } = load();
  const byte = Buffer.allocUnsafeSlow(1).fill(1);
  libc.send(fd, Number(koffi.address(byte)), 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/** The other end hears the end, though more may come from there. */
export function endOutgoing(fd: number): void {
  load().libc.shutdown(fd, SHUT_WR);
}

/** Takes over one end of a pair. @throws Error where koffi cannot be loaded */
export function openDescriptorSocket(fd: number): DescriptorSocket {
  const { libc } = load();
  libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
  const outgoing = new MessageHeader();
  const incoming = new MessageHeader();
  let calls = 0;
  let isClosed = false;

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    process.off('exit', close);
    libc.shutdown(fd, SHUT_RDWR);
    if (calls === 0) closeSync(fd);
  }

  process.on('exit', close); // a process does not end before its pool does, which waits for a call that blocks

  /** The descriptor is closed when no call uses it any more: its number may be another's then. */
  async function call(run: () => Promise<number>): Promise<number> {
    if (isClosed) return 0;
    calls++;
    const result = await run();
    calls--;
    if (isClosed && calls === 0) closeSync(fd);
    return result;
  }

  async function sendSome(bytes: Uint8Array, descriptors: readonly number[]): Promise<number> {
    const header = outgoing.of(bytes, descriptors);
    const sent = await call(() => libc.sendmsg(fd, header, MSG_NOSIGNAL));
    if (sent <= 0) throw new Error('the other process is gone');
    return sent;
  }

  async function sendAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) at += await sendSome(bytes.subarray(at), []);
  }

  /** False at the end of the stream. */
  async function receiveAll(into: Uint8Array, descriptors: number[]): Promise<boolean> {
    for (let at = 0; at < into.length; ) {
      const header = incoming.room(into.subarray(at));
      const received = await call(() => libc.recvmsg(fd, header, MSG_CMSG_CLOEXEC));
      if (received <= 0) return false;
      descriptors.push(...incoming.received());
      at += received;
    }
    return true;
  }

  return {
    async send({ bytes, descriptors }) {
      const head = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES);
      head.writeUInt32LE(bytes.length, 0);
      head.writeUInt32LE(descriptors.length, 4);
      await sendAll(head);
      for (let at = 0; at < descriptors.length; at += DESCRIPTORS_PER_CALL)
        await sendSome(Buffer.allocUnsafeSlow(1), descriptors.slice(at, at + DESCRIPTORS_PER_CALL));
      await sendAll(outsideHeap(bytes));
    },
    async receive() {
      const head = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES);
      const descriptors: number[] = [];
      if (!(await receiveAll(head, descriptors))) return undefined;
      const [length, count] = [head.readUInt32LE(0), head.readUInt32LE(4)];
      if (length > FRAME_BYTES_MAX) throw new Error('what came is no message of this protocol');
      const parcels = Buffer.allocUnsafeSlow(Math.ceil(count / DESCRIPTORS_PER_CALL));
      const bytes = Buffer.allocUnsafeSlow(length);
      const isWhole = (await receiveAll(parcels, descriptors)) && (await receiveAll(bytes, descriptors));
      if (isWhole && descriptors.length === count) return { bytes, descriptors };
      for (const each of descriptors) closeSync(each);
      if (isWhole) throw new Error('no free file descriptor; raise LimitNOFILE or ulimit -n');
      return undefined;
    },
    close,
    release() {
      isClosed = true;
      process.off('exit', close);
      return fd;
    },
  };
}

interface Native {
  socketpair(domain: number, type: number, protocol: number, pair: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  shutdown(fd: number, how: number): number;
  recv(fd: number, address: number, length: number, flags: number): number;
  send(fd: number, address: number, length: number, flags: number): number;
  sendmsg(fd: number, header: number, flags: number): Promise<number>;
  recvmsg(fd: number, header: number, flags: number): Promise<number>;
}

let loaded: { readonly koffi: ReturnType<typeof loadKoffi>; readonly libc: Native } | undefined;

function load() {
  loaded ??= loadNative();
  return loaded;
}

function loadNative() {
  const koffi = loadKoffi();
  const library = koffi.load(null);
  const blocking = (prototype: string) => promisify(library.func(prototype).async) as unknown;
  const libc = {
    socketpair: library.func('int socketpair(int domain, int type, int protocol, uintptr_t pair)'),
    fcntl: library.func('int fcntl(int fd, int command, ...)') as unknown,
    shutdown: library.func('int shutdown(int fd, int how)'),
    recv: library.func('intptr_t recv(int fd, uintptr_t address, size_t length, int flags)'),
    send: library.func('intptr_t send(int fd, uintptr_t address, size_t length, int flags)'),
    sendmsg: blocking('intptr_t sendmsg(int fd, uintptr_t header, int flags)'),
    recvmsg: blocking('intptr_t recvmsg(int fd, uintptr_t header, int flags)'),
  };
  const fcntl = libc.fcntl as (fd: number, command: number, type: string, argument: number) => number;
  const calls = {
    ...libc,
    fcntl: (fd: number, command: number, arg: number) => fcntl(fd, command, 'int', arg),
  };
  return { koffi, libc: calls as unknown as Native };
}

/** One `struct msghdr` with its `struct iovec` and room for descriptors, used again for each call. */
class MessageHeader {
  private readonly header = Buffer.allocUnsafeSlow(MESSAGE_BYTES).fill(0);
  private readonly vector = Buffer.allocUnsafeSlow(16).fill(0);
  private readonly control = Buffer.allocUnsafeSlow(CONTROL_HEADER_BYTES + 4 * 256).fill(0);
  /** What the kernel reads or writes: kept from the garbage collector. */
  bytes: Uint8Array = this.vector;

  private fill(bytes: Uint8Array, controlLength: number): number {
    this.bytes = bytes;
    this.vector.writeBigUInt64LE(addressOf(bytes), 0);
    this.vector.writeBigUInt64LE(BigInt(bytes.length), 8);
    this.header.writeBigUInt64LE(addressOf(this.vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
    this.header.writeBigUInt64LE(controlLength === 0 ? 0n : addressOf(this.control), 32);
    this.header.writeBigUInt64LE(BigInt(controlLength), 40);
    return Number(addressOf(this.header));
  }

  /** For sendmsg(2): bytes, and descriptors beside them. */
  of(bytes: Uint8Array, descriptors: readonly number[]): number {
    const length = CONTROL_HEADER_BYTES + 4 * descriptors.length;
    this.control.writeBigUInt64LE(BigInt(length), 0);
    this.control.writeInt32LE(SOL_SOCKET, 8);
    this.control.writeInt32LE(SCM_RIGHTS, 12);
    for (const [i, fd] of descriptors.entries()) this.control.writeInt32LE(fd, CONTROL_HEADER_BYTES + 4 * i);
    return this.fill(bytes, descriptors.length === 0 ? 0 : length);
  }

  /** For recvmsg(2). */
  room(bytes: Uint8Array): number {
    return this.fill(bytes, this.control.length);
  }

  /** The descriptors that came with the bytes. */
  received(): number[] {
    const controlLength = Number(this.header.readBigUInt64LE(40));
    if (controlLength < CONTROL_HEADER_BYTES || this.control.readInt32LE(12) !== SCM_RIGHTS) return [];
    const count = (Number(this.control.readBigUInt64LE(0)) - CONTROL_HEADER_BYTES) / 4;
    return Array.from({ length: count }, (_, i) => this.control.readInt32LE(CONTROL_HEADER_BYTES + 4 * i));
  }
}

function addressOf(bytes: Uint8Array): bigint {
  return BigInt(load().koffi.address(bytes));
}

/** A copy that the garbage collector does not move. */
function outsideHeap(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
