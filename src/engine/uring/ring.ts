import { errnoName, type Libc, type Mapping, type Pinned } from '../linux/libc.ts';
import * as a from './abi.ts';

/** One io_uring of one thread: how operations are submitted, and how their completions come back. */

export interface RingSizes {
  /** Operations that can be submitted with one system call; a power of two. */
  readonly submissions: number;
  /** Completions that the ring holds; those beyond wait in the kernel. */
  readonly completions: number;
}

/** So many completions are gathered, unless that takes longer: then one is enough. */
const GATHERED = 64;
const GATHER_US = 100;
/** The kernel is out of memory where it takes no submission so often. */
const TRIES_MAX = 1000;
/** Enough for two million pieces of work, and each operation is one at a time. */
const CALLS_MAX = 100_000;

/** Rings are locked memory, which `ulimit -l` bounds for all processes of a user together. */
export function ringError(call: string, errno: number): Error {
  const name = errnoName(errno);
  const remedy = ': a data thread takes 0.3 MB of locked memory; raise ulimit -l, or LimitMEMLOCK of systemd';
  return new Error(`${call}: ${name}${name === 'ENOMEM' ? remedy : ''}`);
}

/**
 * The two rings that are shared with the kernel. What each side writes for the other is published by a store of the index
 * behind it, with Atomics: what was written before is seen by whoever has seen the index.
 *
 * The kernel completes nothing unless this thread is in `enter` (`SETUP_DEFER_TASKRUN`), so nothing changes while
 * completions are served, and an operation that need not wait has completed when the `enter` that submitted it returns.
 */
export class Ring {
  /** The submissions, as words. */
  readonly words: Uint32Array;
  /** The completions, as words. */
  readonly completed: Int32Array;
  readonly completedMask: number;
  /** While the thread waits its core is shown as idle; else as one that waits for a disk (iowait, and pressure of I/O). */
  readonly showsIdle: boolean;
  private readonly libc: Libc;
  private readonly fd: number;
  /** The number that the kernel knows the ring by without looking the descriptor up, and the flag that says so. */
  private readonly enterFd: number;
  private readonly enterFlags: number;
  /** Address and bytes of each. */
  private readonly mappings: (readonly [number, number])[] = [];
  private readonly control: Int32Array;
  private readonly at: { readonly [name in 'sqHead' | 'sqTail' | 'sqFlags' | 'cqHead' | 'cqTail']: number };
  private readonly entries: number;
  private readonly mask: number;
  private readonly argument: Pinned;
  /** Microseconds. */
  private readonly minWait: Uint32Array;
  private readonly canGather: boolean;
  /** Seconds and nanoseconds, each as two words. */
  private readonly timeout: Uint32Array;
  private tail: number;
  /** Filled, and not submitted yet. */
  private pending = 0;
  /** Completions are lost: bytes may be missing at any socket, and nobody knows at which. */
  hasLost = false;

  /** @throws Error that says which call failed, where the kernel has no such ring or does not allow it */
  constructor(libc: Libc, { submissions, completions }: RingSizes) {
    this.libc = libc;
    const params = libc.pin(a.PARAMS_BYTES);
    const flags = a.SETUP_CQSIZE | a.SETUP_SUBMIT_ALL | a.SETUP_TASKRUN_FLAG;
    params.bytes.writeUInt32LE(completions, a.PARAMS.cqEntries);
    params.bytes.writeUInt32LE(flags | a.SETUP_SINGLE_ISSUER | a.SETUP_DEFER_TASKRUN, a.PARAMS.flags);
    this.fd = libc.uringSetup(submissions, params.address);
    if (this.fd < 0) throw ringError('io_uring_setup', this.fd);
    const of = (name: keyof typeof a.PARAMS): number => params.bytes.readUInt32LE(a.PARAMS[name]);
    const needed =
      a.FEAT_SINGLE_MMAP | a.FEAT_NODROP | a.FEAT_SUBMIT_STABLE | a.FEAT_EXT_ARG | a.FEAT_CQE_SKIP;
    const features = of('features');
    if ((features & needed) !== needed) {
      libc.close(this.fd);
      throw new Error(`io_uring has features 0x${features.toString(16)} only`);
    }
    this.canGather = (features & a.FEAT_MIN_TIMEOUT) !== 0;
    this.showsIdle = (features & a.FEAT_NO_IOWAIT) !== 0;
    this.entries = of('sqEntries');
    const ringBytes = Math.max(
      of('sqArray') + this.entries * 4,
      of('cqes') + of('cqEntries') * a.CQE_WORDS * 4,
    );
    const rings = this.map(ringBytes, 0);
    const sqes = this.map(this.entries * a.SQE_WORDS * 4, a.OFFSET_SQES);
    this.words = new Uint32Array(sqes.memory);
    this.control = new Int32Array(rings.memory, 0, ringBytes >>> 2);
    this.completed = this.control.subarray(of('cqes') >>> 2);
    const word = (name: keyof typeof a.PARAMS): number => of(name) >>> 2;
    this.at = {
      ...{ sqHead: word('sqHead'), sqTail: word('sqTail'), sqFlags: word('sqFlags') },
      ...{ cqHead: word('cqHead'), cqTail: word('cqTail') },
    };
    this.mask = this.control[word('sqMask')] as number;
    this.completedMask = this.control[word('cqMask')] as number;
    for (let i = 0; i < this.entries; i++) this.control[word('sqArray') + i] = i;
    this.tail = this.control[this.at.sqTail] as number;
    this.argument = libc.pin(a.GETEVENTS_BYTES + a.TIMESPEC_BYTES);
    this.minWait = new Uint32Array(this.argument.bytes.buffer, a.GETEVENTS_MIN_WAIT, 1);
    this.timeout = new Uint32Array(this.argument.bytes.buffer, a.GETEVENTS_BYTES, 4);
    this.argument.bytes.writeBigUInt64LE(BigInt(this.argument.address + a.GETEVENTS_BYTES), 16);
    const registered = this.registerSelf();
    this.enterFd = registered < 0 ? this.fd : registered;
    this.enterFlags =
      a.ENTER_GETEVENTS |
      a.ENTER_EXT_ARG |
      (registered < 0 ? 0 : a.ENTER_REGISTERED_RING) |
      (this.showsIdle ? a.ENTER_NO_IOWAIT : 0);
  }

  /** Where there is no memory for it, nothing stays open. */
  private map(bytes: number, offset: number): Mapping {
    try {
      const mapping = this.libc.map(this.fd, bytes, offset);
      this.mappings.push([mapping.address, bytes]);
      return mapping;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** `struct io_uring_rsrc_update`: which number, which is -1 for any, and the descriptor. */
  private registerSelf(): number {
    const update = this.libc.pin(16);
    update.bytes.writeUInt32LE(0xffff_ffff, 0);
    update.bytes.writeBigUInt64LE(BigInt(this.fd), 8);
    const done = this.libc.uringRegister(this.fd, a.REGISTER_RING_FDS, update.address, 1);
    return done === 1 ? update.bytes.readUInt32LE(0) : -1;
  }

  register(operation: number, address: number, count: number): number {
    return this.libc.uringRegister(this.fd, operation, address, count);
  }

  // ---- submitting

  /**
   * The next submission, as its place in `words`. Its operation, descriptor and user data are given, all else is 0.
   * @param operation and its flags, as in `SQE_OPERATION`
   */
  take(operation: number, fd: number, low: number, high: number): number {
    if (this.pending === this.entries) this.submit();
    const { words } = this;
    const at = (this.tail & this.mask) * a.SQE_WORDS;
    this.tail = (this.tail + 1) | 0;
    this.pending++;
    for (let word = at; word < at + a.SQE_WORDS; word++) words[word] = 0;
    words[at + a.SQE_OPERATION] = operation;
    words[at + a.SQE_FD] = fd;
    words[at + a.SQE_USER_DATA] = low;
    words[at + a.SQE_USER_DATA + 1] = high;
    return at;
  }

  setAddress(at: number, address: number): void {
    this.words[at + a.SQE_ADDRESS] = address;
    this.words[at + a.SQE_ADDRESS + 1] = Math.floor(address / 2 ** 32);
  }

  /** The number of the submission that was taken last. */
  get sequence(): number {
    return this.tail;
  }

  /** Was this submission taken, and not submitted yet? */
  isPending(sequence: number): boolean {
    return ((this.tail - sequence) | 0) < this.pending;
  }

  get hasPending(): boolean {
    return this.pending > 0;
  }

  /**
   * Submits what was taken, and sleeps until there is a completion, or so many milliseconds are over; 0: does not sleep.
   * Returns how many it has submitted, or the negative errno.
   * @param gathers those that come within some 0.1 ms are waited for, where the kernel can (Linux 6.12)
   * @throws Error where the kernel has lost completions
   */
  enter(timeoutMs: number, gathers = false): number {
    const { argument, timeout } = this;
    if (timeoutMs > 0) {
      timeout[0] = Math.floor(timeoutMs / 1000);
      timeout[2] = (timeoutMs % 1000) * 1_000_000;
    }
    Atomics.store(this.control, this.at.sqTail, this.tail);
    const isGathering = gathers && this.canGather;
    this.minWait[0] = isGathering ? GATHER_US : 0;
    const wanted = timeoutMs <= 0 ? 0 : isGathering ? GATHERED : 1;
    const { enterFd, enterFlags, pending } = this;
    const { address } = argument;
    const done = this.libc.uringEnter(enterFd, pending, wanted, enterFlags, address, a.GETEVENTS_BYTES);
    this.pending = (this.tail - Atomics.load(this.control, this.at.sqHead)) | 0;
    if (done === -a.EBADR) this.lose();
    return done;
  }

  private lose(): never {
    this.hasLost = true;
    throw new Error('io_uring has lost completions: the kernel is out of memory');
  }

  /** Submits what was taken, all of it. What completes meanwhile stays in the ring. @throws Error where the kernel takes nothing */
  submit(): void {
    for (let tries = 0; this.pending > 0; tries++) {
      if (tries === TRIES_MAX) throw new Error('io_uring takes no submissions: the kernel is out of memory');
      this.enter(0);
    }
  }

  /**
   * The same, and the kernel ends all that is cancelled: it does some 20 pieces of work in one call, and a cancelled operation has
   * its turn behind all sockets that have something to tell.
   */
  workOff(): void {
    this.submit();
    for (let calls = 0; calls < CALLS_MAX && this.isBehind; calls++) this.enter(0);
  }

  /** The kernel has work to do for this ring. */
  get isBehind(): boolean {
    return (Atomics.load(this.control, this.at.sqFlags) & a.SQ_TASKRUN) !== 0;
  }

  // ---- completions

  /** The kernel has completions to write, or has written some. */
  get hasNews(): boolean {
    const { control, at } = this;
    return (
      control[at.cqHead] !== Atomics.load(control, at.cqTail) ||
      (Atomics.load(control, at.sqFlags) & (a.SQ_TASKRUN | a.SQ_CQ_OVERFLOW)) !== 0
    );
  }

  /** Completions wait in the kernel, because there was no room. */
  get isOverflown(): boolean {
    return (Atomics.load(this.control, this.at.sqFlags) & a.SQ_CQ_OVERFLOW) !== 0;
  }

  /** The completions that are there are those from `head` to before `end`, both modulo the size of the ring. */
  get head(): number {
    return this.control[this.at.cqHead] as number;
  }

  get end(): number {
    return Atomics.load(this.control, this.at.cqTail);
  }

  /** Those before `head` have been seen: their places are the kernel's again. */
  seen(head: number): void {
    Atomics.store(this.control, this.at.cqHead, head);
  }

  close(): void {
    this.libc.close(this.fd);
    for (const [address, bytes] of this.mappings) this.libc.unmap(address, bytes);
  }
}
