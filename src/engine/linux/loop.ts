import type { Clock } from '../../base/time.ts';
import type { Link, Target, TargetTls } from '../../connection/wire.ts';
import type { ProxyHeader } from '../../protocol/proxy-protocol/header.ts';
import type { Accept } from '../engine.ts';
import { type OnHeaderRefused, proxied } from '../headers.ts';
import type { Pulse } from '../pulse.ts';
import { peerOf, sourceOf } from './addresses.ts';
import type { CreateDriver } from './driver.ts';
import { EventWait } from './event-wait.ts';
import { Faults } from './faults.ts';
import { EINVAL, EMFILE, type Libc, SOCK_CLOEXEC, SOCK_NONBLOCK } from './libc.ts';
import { type AcceptPressure, Listeners } from './listeners.ts';
import type { Poller } from './poller.ts';
import { ProxyHeaders } from './proxy-headers.ts';
import { createSockaddrCache, type Sockaddrs } from './sockaddr-cache.ts';
import { SocketRecycler } from './socket-recycler.ts';
import { CheckedSocketStates } from './socket-rules.ts';
import { SocketStates } from './socket-state.ts';
import { beginSlot, createSocketTable, descriptorLimit, type SocketTable } from './socket-table.ts';
import { type KeepAlive, Sockets } from './sockets.ts';
import { Streams } from './streams.ts';
import { TimerWheel } from './timer-wheel.ts';
import { TlsSessions } from './tls-sessions.ts';
import { Deferred, Turns } from './turns.ts';
import { LinuxWire, type WireHost } from './wire.ts';

/** The event loop of one thread: what happens in one turn, and in which order. */

interface LoopOptions extends AcceptPressure {
  readonly accept: Accept;
  readonly onFault: (error: unknown) => void;
  readonly highWaterBytes: number;
  readonly gathers: boolean;
  readonly linkLingerMs: number;
  readonly keepAlive: KeepAlive;
  readonly checksStates: boolean;
  readonly clock: Clock;
  readonly pulse: Pulse;
  readonly traffic: Float64Array;
  readonly maxHandshakes: number;
  readonly onHandshakeRefused: (listenerIndex: number) => void;
  readonly onHeaderRefused: OnHeaderRefused;
}

const READ_BYTES_MAX = 65_536;
const ACCEPT_RETRY_MS = 250;
const SHORT_TIMER_MS = 1000;
/** In one turn, while the connected wait. One step takes a third of a millisecond or more. */
const HANDSHAKES_MS = 2;
/** A thread that waits in the kernel cannot be terminated, nor can the process exit, until it returns to V8. */
const WAIT_MS_MAX = 200;

/** The event loop of one thread. `run` blocks until the wake descriptor is written or `stop` was called. */
export class Loop implements WireHost {
  readonly wakeFd: number;
  readonly listeners: Listeners;
  readonly waiting: Uint32Array;
  readonly tls: TlsSessions;
  readonly headers: ProxyHeaders;
  private readonly libc: Libc;
  private readonly options: LoopOptions;
  readonly table: SocketTable;
  private readonly poller: Poller;
  readonly sockets: Sockets;
  readonly streams: Streams;
  private readonly recycler: SocketRecycler;
  private readonly sockaddrsOf: (target: Target) => Sockaddrs;
  readonly wheel: TimerWheel;
  private readonly wires: (LinuxWire | undefined)[] = [];
  private readonly freeSlots: number[] = [];
  private readonly doneWires: LinuxWire[] = [];
  private readonly deferred = new Deferred((task) => this.attempt(undefined, task));
  /** Whose call is under way, which catches the faults of it. */
  private current: LinuxWire | undefined;
  readonly faults: Faults;
  private readonly postponed: { readonly wire: LinuxWire; readonly run: () => void }[] = [];
  readonly turns: Turns;
  private readonly acceptRetryKey: number;
  private readonly recyclerKey: number;
  private readonly wakeBuffer: { readonly address: number };
  private readonly serveReady = (fd: number): void => this.guarded(fd, 0);
  private readonly fireTimer = (key: number): void => this.fire(key);
  private nowMs: number;
  private readonly eventWait: EventWait;
  private descriptorFreed = false;
  private woken = false;

  constructor(libc: Libc, createDriver: CreateDriver, options: LoopOptions) {
    this.libc = libc;
    this.options = options;
    this.faults = new Faults(options.onFault);
    const capacity = descriptorLimit(libc);
    const states = options.checksStates ? new CheckedSocketStates(capacity) : new SocketStates(capacity);
    this.table = createSocketTable(capacity, states, options.traffic);
    this.nowMs = options.clock.now();
    this.turns = new Turns(options.clock.now, (wire, task) => this.goOn(wire, task));
    this.acceptRetryKey = 2 * capacity;
    this.recyclerKey = this.acceptRetryKey + 1;
    this.wheel = new TimerWheel(this.recyclerKey + 1, this.nowMs);
    const driver = createDriver(libc, this.table);
    this.poller = driver.poller;
    this.eventWait = new EventWait(driver.poller, options.gathers, this.nowMs);
    this.sockets = new Sockets(libc, options.keepAlive);
    const readBytes = Math.min(READ_BYTES_MAX, options.highWaterBytes);
    this.tls = new TlsSessions(libc, this.table, { ...options, readBytes }, (fd) =>
      this.wires[(this.table.slot[fd] as number) - 1]?.abort(),
    );
    const clearIn = (ms: number): void => this.setKey(this.recyclerKey, ms);
    this.recycler = new SocketRecycler(libc, this.table, clearIn, driver.poller);
    this.sockaddrsOf = createSockaddrCache(libc);
    this.streams = new Streams(
      libc,
      this.table,
      this.sockets,
      this.recycler,
      driver,
      this.tls,
      { readBytes, linkLingerMs: options.linkLingerMs },
      (slot) => this.wires[slot] as LinuxWire,
      (fd, ms) => this.setKey(capacity + fd, ms),
    );
    this.waiting = this.streams.writer.waiting;
    this.headers = new ProxyHeaders(libc, this.table, this.sockets, this.poller, {
      adopt: (fd, index, sockaddr, header) => this.adoptDevice(fd, index, sockaddr, header),
      setTimer: (fd, ms) => this.setKey(capacity + fd, ms),
      refused: options.onHeaderRefused,
    });
    const adopt = (fd: number, index: number): void => {
      if (this.headers.isFor(index)) this.headers.accepted(fd, index, this.sockets.remote);
      else this.adoptDevice(fd, index, this.sockets.remote);
    };
    this.listeners = new Listeners(libc, this.sockets, this.poller, this.table.generation, adopt, {
      onAcceptPaused: (reason) => {
        this.descriptorFreed = false;
        this.recycler.clear();
        this.setKey(this.acceptRetryKey, ACCEPT_RETRY_MS);
        options.onAcceptPaused(reason);
      },
      onAcceptResumed: options.onAcceptResumed,
    });
    this.wakeFd = libc.eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    this.wakeBuffer = libc.pin(8);
    this.poller.add(this.wakeFd, 0, 1);
  }

  // ---- turning ---------------------------------------------------------------------------------------------

  run(): void {
    this.woken = false;
    this.nowMs = this.options.clock.now();
    this.finishCalls(); // a message may have ended a connection
    while (!this.woken) this.turn();
  }

  private turn(): void {
    const { poller, streams, wheel, table, eventWait } = this;
    const count = eventWait.wait(this.timeoutMs());
    this.nowMs = this.options.clock.now();
    this.options.pulse.begin(this.nowMs);
    const { words, stride, fdAt, generationAt } = poller;
    this.recycler.beginBatch();
    for (let i = 0, at = 0; i < count; i++, at += stride) {
      const fd = words[at + fdAt] as number;
      eventWait.saw(table.flags[fd] as number);
      if (table.generation[fd] !== words[at + generationAt]) continue;
      if (table.slot[fd] !== 0) this.guarded(fd, words[at] as number);
      else if (fd === this.wakeFd) this.wake();
      else this.arrive(fd, words[at] as number);
    }
    this.recycler.endBatch();
    eventWait.served(this.nowMs);
    if (!streams.ready.isEmpty) streams.ready.serve(this.options.clock, this.serveReady);
    if (!streams.handshakes.isEmpty)
      streams.handshakes.serveFor(HANDSHAKES_MS, this.options.clock, this.serveReady);
    if (wheel.size > 0) wheel.advance(this.now(), this.fireTimer);
    this.enter(undefined);
    if (!this.turns.isEmpty) this.turns.serve();
    this.finishCalls();
    if (this.deferred.run()) this.finishCalls();
    if (this.descriptorFreed && this.listeners.paused) this.listeners.resume();
    this.options.pulse.end(this.options.clock.now());
  }

  private timeoutMs(): number {
    const { ready, handshakes } = this.streams;
    if (!ready.isEmpty || !handshakes.isEmpty || !this.turns.isEmpty || !this.deferred.isEmpty) return 0;
    return this.wheel.size > 0 ? this.wheel.waitMs(this.now()) : WAIT_MS_MAX;
  }

  /** The time at which this turn began. */
  now(): number {
    return this.nowMs;
  }

  /** Runs the task once, at the end of a turn. */
  defer(task: () => void): void {
    this.deferred.add(task);
  }

  private wake(): void {
    this.libc.read(this.wakeFd, this.wakeBuffer.address, 8);
    this.woken = true;
  }

  /** Serves one socket; mask 0 means that it was left readable. A fault ends its connection and no other. */
  private guarded(fd: number, mask: number): void {
    const wire = this.enter(this.wires[(this.table.slot[fd] as number) - 1]);
    try {
      if (mask === 0) this.streams.resume(fd);
      else this.streams.event(fd, mask);
    } catch (error) {
      this.faults.caught(error, wire);
    }
    this.current = undefined; // its faults are caught no more
    if (this.doneWires.length > 0) this.finishCalls();
  }

  /** Serves a listening socket, or one that owes its header. */
  private arrive(fd: number, mask: number): void {
    try {
      if (this.listeners.owns(fd)) this.listeners.accept(fd);
      else this.headers.event(fd, mask);
    } catch (error) {
      this.faults.caught(error, undefined);
    }
  }

  private enter(wire: LinuxWire | undefined): LinuxWire | undefined {
    this.current = wire;
    this.options.pulse.at(wire === undefined ? 0 : (this.table.number[wire.slot] as number));
    return wire;
  }

  /** A fault of it ends this connection, and nothing else that is under way. */
  attempt<T>(wire: LinuxWire | undefined, run: () => T): T | undefined {
    const { current } = this;
    if (wire !== undefined && wire === current) return run();
    this.enter(wire);
    try {
      return run();
    } catch (error) {
      this.faults.caught(error, wire);
      return undefined;
    } finally {
      this.enter(current);
    }
  }

  /** A task of a connection that is not closed meanwhile. */
  private goOn(wire: LinuxWire, task: () => void): void {
    if (!wire.isOver) this.attempt(wire, task);
    if (this.doneWires.length > 0) this.finishCalls();
  }

  /** What must wait until the connection's present call has returned: failed dials, and the last call of all. */
  private finishCalls(): void {
    for (const { wire, run } of this.postponed) this.attempt(wire, run); // those too that are added meanwhile
    if (this.postponed.length > 0) this.postponed.length = 0;
    for (let wire = this.doneWires.pop(); wire !== undefined; wire = this.doneWires.pop()) this.release(wire);
  }

  private release(wire: LinuxWire): void {
    const { slot } = wire;
    // One that has dialled since goes on; if that ended too, it was said to be done twice.
    if (!wire.isOver || this.wires[slot] !== wire) return;
    this.wheel.clear(slot);
    this.wires[slot] = undefined;
    this.freeSlots.push(slot);
    this.attempt(wire, () => wire.tellClosed());
  }

  private fire(key: number): void {
    const { capacity } = this.table;
    const fd = key - capacity;
    const wire = this.enter(this.wires[fd < 0 ? key : (this.table.slot[fd] as number) - 1]);
    try {
      if (key === this.acceptRetryKey) this.listeners.resume();
      else if (key === this.recyclerKey) this.recycler.clear();
      else if (fd < 0) wire?.timer();
      else if (!this.headers.timer(fd)) this.streams.timer(fd);
    } catch (error) {
      this.faults.caught(error, wire);
    }
  }

  // ---- connections -----------------------------------------------------------------------------------------

  newWire(deviceFd: number): LinuxWire {
    const slot = this.freeSlots.pop() ?? this.wires.length;
    const wire = new LinuxWire(this, slot, deviceFd);
    this.wires[slot] = wire;
    beginSlot(this.table, slot);
    return wire;
  }

  private adoptDevice(fd: number, listenerIndex: number, sockaddr: Buffer, header?: ProxyHeader): void {
    if (fd >= this.table.capacity) return this.sockets.reset(fd);
    const isTls = this.tls.isFor(listenerIndex);
    if (isTls && !this.tls.admits(fd, header?.source?.address ?? sourceOf(sockaddr))) {
      this.sockets.reset(fd);
      this.options.onHandshakeRefused(listenerIndex);
      return;
    }
    const wire = this.newWire(fd);
    let peer = peerOf(sockaddr, wire);
    this.streams.intake.device(fd, wire.slot);
    if (isTls && !this.tls.open(fd, listenerIndex)) {
      this.streams.reset(fd);
      return this.finishCalls();
    }
    if (isTls) peer = this.tls.peer(fd, peer);
    if (header !== undefined) peer = proxied(peer, header);
    try {
      wire.conversation = this.options.accept(wire, peer, listenerIndex);
      if (wire.conversation === undefined) wire.abort();
      else if (wire.deviceFd === fd) this.streams.greet(fd);
    } catch (error) {
      this.faults.caught(error, wire);
    }
    if (this.doneWires.length > 0) this.finishCalls();
  }

  /** Resets every connection and stops accepting. The wake descriptor stays: whoever writes to it closes it. */
  close(): void {
    this.listeners.close();
    this.headers.close();
    for (let fd = 0; fd < this.table.capacity; fd++) if (this.table.slot[fd] !== 0) this.streams.reset(fd);
    this.finishCalls();
    this.recycler.clear();
    this.tls.close();
    this.poller.close();
    this.woken = true;
  }

  // ---- WireHost --------------------------------------------------------------------------------------------

  write(fd: number, bytes: Uint8Array, start: number, end: number): void {
    this.streams.writer.write(fd, bytes, start, end);
  }

  hold(fd: number, hold: boolean): void {
    this.streams.hold(fd, hold);
  }

  resume(fd: number): void {
    this.streams.ready.add(fd);
  }

  splice(device: number, node: number): void {
    this.streams.splice(device, node);
  }

  secure(fd: number, tls: TargetTls): void {
    this.streams.openings.secure(fd, tls);
  }

  end(fd: number, how: 'finish' | 'flush' | 'reset'): void {
    this.streams[how](fd);
  }

  dial(slot: number, link: Link, target: Target, greets: boolean, limitMs: number): number {
    const { to, from, isRecyclable } = this.sockaddrsOf(target);
    if (to === undefined) return -EINVAL;
    const spare = isRecyclable ? this.recycler.take() : -1;
    const fd = this.sockets.dial(to, from, greets, target.isTransparent === true, spare);
    if (fd < 0) return fd;
    if (fd >= this.table.capacity) {
      this.libc.close(fd);
      return -EMFILE;
    }
    const added = this.streams.intake.link(fd, slot, link, isRecyclable, fd === spare);
    if (added === 0 && limitMs > 0) this.setKey(this.table.capacity + fd, limitMs);
    return added < 0 ? added : fd;
  }

  later(wire: LinuxWire, run: () => void): void {
    this.postponed.push({ wire, run });
  }

  setTimer(slot: number, ms: number): void {
    this.setKey(slot, ms);
  }

  done(wire: LinuxWire): void {
    this.doneWires.push(wire);
    this.descriptorFreed = true;
  }

  private setKey(key: number, ms: number): void {
    // To a short one it matters how long this turn has taken so far.
    if (ms > 0) this.wheel.set(key, ms, ms < SHORT_TIMER_MS ? this.options.clock.now() : this.now());
    else this.wheel.clear(key);
  }
}
