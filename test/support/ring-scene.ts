import { encodeAddress, type SocketAddress } from '../../src/engine/linux/addresses.ts';
import { EAGAIN, EPOLLIN, type Libc, loadLibc, MSG_DONTWAIT, SHUT_WR } from '../../src/engine/linux/libc.ts';
import { CheckedSocketStates } from '../../src/engine/linux/socket-rules.ts';
import { createSocketTable } from '../../src/engine/linux/socket-table.ts';
import { DEFAULT_KEEP_ALIVE, Sockets } from '../../src/engine/linux/sockets.ts';
import type { TlsSessions } from '../../src/engine/linux/tls-sessions.ts';
import { createUringDriver, type UringSizes } from '../../src/engine/uring/driver.ts';
import type { RingPoller } from '../../src/engine/uring/poller.ts';
import { atEnd } from './process.ts';

const CAPACITY = 4096;
const READ_BYTES = 65_536;

/** A socket that the ring receives from and sends to, and the other end of its connection. */
interface Pair {
  readonly fd: number;
  readonly far: number;
}

/** What the reader keeps to itself. */
interface Internals {
  readonly operations: { readonly underWay: Uint8Array; readonly lingering: Uint16Array };
  readonly stopped: readonly number[];
  readonly inbox: { readonly kept: ReadonlyMap<number, unknown> };
}

/** The driver of the uring engine on real sockets, without a loop: each test plays that, turn by turn. */
export class RingScene {
  readonly libc: Libc;
  readonly table = createSocketTable(CAPACITY, new CheckedSocketStates(CAPACITY));
  /** Sockets that were told to be broken, each with its errno. */
  readonly failures: (readonly [number, number])[] = [];
  onFailed = (fd: number, error: number): void => void this.failures.push([fd, error]);
  private readonly events = new Map<number, number>();
  private readonly sockets: Sockets;
  private readonly driver;
  private readonly streams;
  private readonly listener: number;
  private isListening = true;
  private readonly address: SocketAddress;

  constructor(sizes?: UringSizes, libc = loadLibc()) {
    this.libc = libc;
    this.sockets = new Sockets(libc, DEFAULT_KEEP_ALIVE);
    this.driver = createUringDriver(this.libc, this.table, sizes);
    this.streams = this.driver.serve({} as TlsSessions, READ_BYTES, {
      failed: (fd, error) => this.onFailed(fd, error),
      setNoDelay: () => undefined,
    });
    const any = encodeAddress(this.libc, '127.0.0.1', 0) as SocketAddress;
    this.listener = this.sockets.listen(any, false);
    const { host, port } = this.sockets.localAddress(this.listener);
    this.address = encodeAddress(this.libc, host, port) as SocketAddress;
    atEnd(() => {
      this.driver.poller.close();
      if (this.isListening) this.libc.close(this.listener);
    });
  }

  get reader() {
    return this.streams.reader;
  }

  get writer() {
    return this.streams.writer;
  }

  get watch() {
    return this.streams.watch;
  }

  get freezer() {
    return this.streams.freezer;
  }

  get poller() {
    return this.driver.poller;
  }

  /** The other end resets. */
  reset(far: number): void {
    this.sockets.reset(far);
  }

  /** Listening is polled, as the engine does it. */
  watchListener(): void {
    this.poller.add(this.listener, 0, EPOLLIN);
  }

  closeListener(): void {
    this.poller.remove(this.listener);
    this.poller.forget(this.listener);
    this.libc.close(this.listener);
    this.isListening = false;
  }

  /** A connection that nobody has accepted yet; the fd of its other end. */
  dial(): number {
    const far = this.sockets.dial(this.address, undefined, false);
    if (far < 0) throw new Error(`dial: ${far}`);
    return far;
  }

  /** A device that the engine has accepted and receives from. */
  device(far = this.dial()): Pair {
    const fd = this.accept();
    this.streams.watch.device(fd);
    return { fd, far };
  }

  /** The same, but nothing is expected yet, as at a link that has been dialled. */
  connected(): number {
    const fd = this.accept();
    this.streams.watch.connected(fd);
    return fd;
  }

  private accept(): number {
    const fd = this.until(() => {
      const accepted = this.sockets.accept(this.listener);
      return accepted >= 0 ? accepted : undefined;
    });
    this.table.states.enterDevice(fd);
    this.table.slot[fd] = 1;
    return fd;
  }

  /** Turns until it gives something. */
  until<T>(give: () => T | undefined): T {
    for (let turn = 0; turn < 5000; turn++) {
      const given = give();
      if (given !== undefined) return given;
      this.turn();
    }
    throw new Error('it did not come');
  }

  /** One wait. What is told is kept for `told`. */
  turn(): void {
    const { poller } = this.driver;
    const count = poller.wait(1);
    for (let i = 0; i < count; i++) {
      const at = i * poller.stride;
      const fd = poller.words[at + poller.fdAt] as number;
      if (poller.words[at + poller.generationAt] !== this.table.generation[fd]) continue;
      this.events.set(fd, (this.events.get(fd) ?? 0) | (poller.words[at] as number));
      if (this.table.slot[fd] !== 0) this.table.states.report(fd, false, false);
    }
  }

  /** The events that were told of a descriptor since this was asked last; undefined where none were. */
  told(fd: number): number | undefined {
    const events = this.events.get(fd);
    this.events.delete(fd);
    return events;
  }

  /** Turns until something is told of it. */
  awaitEvents(fd: number): number {
    return this.until(() => this.told(fd));
  }

  /** The other end sends no more. */
  finish(far: number): void {
    this.libc.shutdown(far, SHUT_WR);
  }

  /** The other end sends. How many bytes the kernel takes. */
  say(far: number, text: string | Buffer): number {
    const bytes = Buffer.from(text);
    const memory = this.libc.pin(bytes.length);
    bytes.copy(memory.bytes);
    return Math.max(0, this.libc.send(far, memory.address, bytes.length, MSG_DONTWAIT));
  }

  /** The other end sends until nobody takes anything any more. What it has sent. */
  sayUntilFull(far: number): string {
    let said = '';
    for (let i = 0, full = 0; full < 50; i++) {
      const piece = (i % 16).toString(16).repeat(1000);
      const sent = this.say(far, piece);
      if (sent === 0) full++;
      said += piece.slice(0, sent);
      this.turn();
      if (i === 100_000) throw new Error('it receives without end');
    }
    return said;
  }

  /** What the other end has received; undefined: its end, or a reset. */
  hear(far: number, most = 65_536): Buffer | undefined {
    const memory = this.libc.pin(most);
    const got = this.libc.recv(far, memory.address, most, MSG_DONTWAIT);
    if (got === -EAGAIN) return Buffer.alloc(0);
    return got <= 0 ? undefined : memory.bytes.subarray(0, got);
  }

  /** Turns and reads until so many characters have come. Whoever gets more was sent more. */
  readAll(fd: number, length: number): string {
    let text = '';
    return this.until(() => {
      this.turn();
      text += this.read(fd);
      return text.length >= length ? text : undefined;
    });
  }

  /** All that the ring has received for a socket, until it has no more at present, as text. */
  read(fd: number): string {
    let text = '';
    for (;;) {
      const got = this.reader.receive(fd, this.table.flags[fd] as number);
      if (got <= 0) return text;
      text += this.reader.bytes.toString('latin1', this.reader.start, this.reader.start + got);
    }
  }

  /** What is still somebody's: buffers that the kernel does not have, operations under way, receives of closed sockets, bytes. */
  left() {
    const { pool, reader } = (this.poller as RingPoller).streams as NonNullable<RingPoller['streams']>;
    const { operations, stopped, inbox } = reader as unknown as Internals;
    const { underWay, lingering } = operations;
    const used = (pool as unknown as { used: number }).used;
    const count = (all: Iterable<number>) => [...all].filter((each) => each !== 0).length;
    return {
      buffers: used - pool.free,
      operations: count(underWay),
      lingering: count(lingering),
      stopped: stopped.length,
      kept: inbox.kept.size,
    };
  }

  /** As the streams close one. */
  close(fd: number, how: 'close' | 'reset' = 'close'): void {
    this.writer.clear(fd);
    this.reader.clear(fd);
    this.driver.poller.forget(fd);
    this.table.states.leave(fd);
    this.events.delete(fd);
    this.table.slot[fd] = 0;
    this.table.generation[fd] = (this.table.generation[fd] as number) + 1;
    if (how === 'reset') this.sockets.reset(fd);
    else this.libc.close(fd);
  }
}
