import type { EndCause } from '../../connection/wire.ts';
import { BackPressure } from './back-pressure.ts';
import type { Driver, Freezer, Reader, StreamWatch, Writer } from './driver.ts';
import { Endings } from './endings.ts';
import { Intake } from './intake.ts';
import type { Libc } from './libc.ts';
import * as c from './libc.ts';
import { Openings } from './openings.ts';
import { causeOf, type Owner } from './owner.ts';
import { ReadyList, ReadyReads } from './ready-list.ts';
import type { SocketRecycler } from './socket-recycler.ts';
import type { SocketFlags, SocketStates } from './socket-state.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** Reads, writes, relays and ends the stream sockets of one thread. */

interface StreamsOptions {
  /** Most that one read takes, hence most that waits towards one peer in relay mode. */
  readonly readBytes: number;
  /** How long a flushed link may take to close before it is reset. For devices the connection keeps the time. */
  readonly linkLingerMs: number;
}

/** The time of a flushed link is over, but it is frozen: it is looked at again after so long. */
const FROZEN_LINGER_MS = 100;

/**
 * The stream sockets of one thread: reading, writing, relaying, ending. State is in the socket table; a connection's
 * objects are touched only where its code must be told something, so relayed bytes touch none.
 */
export class Streams {
  readonly writer: Writer;
  readonly ready: ReadyReads;
  /** In line for the next step of their handshake. */
  readonly handshakes: ReadyList;
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  private readonly peer: Int32Array;
  private readonly waiting: Uint32Array;
  private readonly sockets: Sockets;
  private readonly recycler: SocketRecycler;
  private readonly tls: TlsSessions;
  private readonly ownerOf: (slot: number) => Owner;
  private readonly setTimer: (fd: number, ms: number) => void;
  private readonly options: StreamsOptions;
  readonly reader: Reader;
  private readonly watch: StreamWatch;
  private readonly poller: Driver['poller'];
  private readonly pressure: BackPressure;
  private readonly endings: Endings;
  readonly intake: Intake;
  readonly openings: Openings;
  readonly freezer: Freezer;

  constructor(
    libc: Libc,
    table: SocketTable,
    sockets: Sockets,
    recycler: SocketRecycler,
    driver: Driver,
    tls: TlsSessions,
    options: StreamsOptions,
    ownerOf: (slot: number) => Owner,
    /** Sets, or clears with 0, a socket's one timer, which calls `timer`. */
    setTimer: (fd: number, ms: number) => void,
  ) {
    this.libc = libc;
    this.table = table;
    this.states = table.states;
    this.flags = table.flags;
    this.ready = new ReadyReads(table.states, table.capacity);
    this.handshakes = new ReadyList(table.states);
    this.peer = table.peer;
    this.sockets = sockets;
    this.recycler = recycler;
    this.tls = tls;
    this.options = options;
    this.ownerOf = ownerOf;
    this.setTimer = setTimer;
    const { reader, writer, watch, freezer } = driver.serve(tls, options.readBytes, {
      failed: (fd, error) => this.sendFailed(fd, error),
      setNoDelay: (fd) => sockets.setNoDelay(fd),
    });
    this.reader = reader;
    this.writer = writer;
    this.watch = watch;
    this.freezer = freezer;
    this.poller = driver.poller;
    this.waiting = writer.waiting;
    this.pressure = new BackPressure(table, this.waiting, this.ready, ownerOf);
    this.intake = new Intake(table, sockets, watch, setTimer);
    this.openings = new Openings(table, sockets, tls, this.handshakes, {
      owner: (fd) => this.owner(fd),
      close: (fd) => this.close(fd),
      ...{ sendNow: (fd) => writer.sendNow(fd), watch: (fd) => watch.connected(fd) },
    });
    this.endings = new Endings(libc, table, tls, writer, (fd) => this.close(fd));
  }

  // ---- what the connection asks for ------------------------------------------------------------------------

  hold(fd: number, hold: boolean): void {
    if (((this.flags[fd] as number) & is.DETACHED) !== 0) return;
    if (hold) this.states.hold(fd);
    else {
      this.states.unhold(fd);
      this.ready.add(fd);
    }
  }

  splice(device: number, node: number): void {
    this.pair(device, node);
    this.pair(node, device);
    if ((this.flags[device] as number) & is.EOF) this.endings.finish(node);
    if ((this.flags[node] as number) & is.EOF) this.endings.finish(device);
  }

  private pair(fd: number, peer: number): void {
    this.peer[fd] = peer;
    this.states.splice(fd);
    this.ready.add(fd);
  }

  private unpair(fd: number): void {
    const peer = this.peer[fd] as number;
    if (peer < 0) return;
    for (const half of [fd, peer]) {
      this.peer[half] = -1;
      this.states.unsplice(half);
    }
  }

  /** Sends what waits, then FIN, and goes on reading. */
  finish(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (is.DETACHED | is.CONNECTING | is.HANDSHAKING | is.BROKEN)) === 0) this.endings.finish(fd);
  }

  /** Sends what waits, then FIN, and closes when the other end has closed too. */
  flush(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & is.DETACHED) !== 0) return;
    if ((flags & (is.CONNECTING | is.HANDSHAKING | is.BROKEN)) !== 0) {
      this.reset(fd);
      return;
    }
    this.unpair(fd);
    this.states.detach(fd);
    if ((flags & is.DEVICE) === 0) this.setTimer(fd, this.options.linkLingerMs);
    this.ready.add(fd);
    this.endings.finish(fd);
  }

  /** Of a link: it was flushed and had its time, its address did not answer, or it has lived long enough to be watched. */
  timer(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & (is.DETACHED | is.FROZEN)) === is.DETACHED) this.reset(fd);
    else if ((flags & is.DETACHED) !== 0) this.setTimer(fd, FROZEN_LINGER_MS);
    else if ((flags & is.CONNECTING) !== 0 && this.owner(fd).hasNextAddress(this.table.link[fd] as number))
      this.openings.timedOut(fd);
    else this.sockets.watchPeer(fd);
  }

  reset(fd: number): void {
    if (this.table.slot[fd] === 0) return;
    if (((this.flags[fd] as number) & is.FROZEN) !== 0) return this.close(fd); // another engine may have it by now
    this.writer.sendNow(fd);
    const isRecyclable = ((this.flags[fd] as number) & (is.RECYCLABLE | is.CONNECTING)) === is.RECYCLABLE;
    this.release(fd);
    if (!isRecyclable || !this.recycler.keep(fd)) this.sockets.reset(fd);
    this.told(fd);
  }

  close(fd: number): void {
    this.release(fd);
    this.libc.close(fd);
    this.told(fd);
  }

  /** As if it were closed; but it goes on, with somebody else. */
  forget(fd: number): void {
    this.release(fd);
    this.told(fd);
  }

  /** Forgets the socket, so that nothing that is still queued for it finds it, nor its successor. */
  private release(fd: number): void {
    this.unpair(fd);
    this.writer.clear(fd);
    this.reader.clear(fd);
    this.ready.brought(fd, 0);
    this.setTimer(fd, 0);
    this.poller.forget(fd);
    if (((this.flags[fd] as number) & is.TLS) !== 0) this.tls.free(fd);
    this.states.leave(fd);
    this.table.generation[fd] = (this.table.generation[fd] as number) + 1;
  }

  private told(fd: number): void {
    const slot = (this.table.slot[fd] as number) - 1;
    this.table.slot[fd] = 0;
    this.ownerOf(slot).socketClosed(fd);
  }

  // ---- what the kernel reports -----------------------------------------------------------------------------

  event(fd: number, mask: number): void {
    const before = this.flags[fd] as number;
    if ((before & is.UNSETTLED) !== 0 && !this.opened(fd, mask, before)) return;
    if ((mask & c.EPOLLOUT) !== 0 && this.waiting[fd] !== 0) {
      this.drain(fd);
      if (this.table.slot[fd] === 0) return;
    }
    if ((mask & (c.EPOLLIN | c.EPOLLPRI | c.EPOLLRDHUP | c.EPOLLHUP | c.EPOLLERR)) === 0) return;
    // A read stops in front of a byte that is urgent (RFC 6093), and is short though more is there.
    const isShort = (mask & (c.EPOLLRDHUP | c.EPOLLHUP | c.EPOLLPRI)) !== 0;
    this.states.report(fd, isShort, (mask & c.EPOLLERR) !== 0);
    if (this.ready.waits(fd)) this.ready.add(fd);
    else this.read(fd);
  }

  /** False where the socket is not, or not yet, one to read and write. */
  private opened(fd: number, mask: number, flags: number): boolean {
    if ((flags & is.FROZEN) !== 0) return false; // it was frozen behind the batch of this event
    if ((flags & is.CONNECTING) !== 0) return this.openings.connected(fd, mask);
    this.states.retry(fd, (mask & (c.EPOLLRDHUP | c.EPOLLHUP | c.EPOLLERR)) !== 0);
    if ((flags & is.HANDSHAKING) !== 0) {
      this.handshakes.add(fd);
      return false;
    }
    this.ready.add(fd); // the session waited for the other direction, so both are tried
    this.drain(fd);
    return this.table.slot[fd] !== 0;
  }

  private owner(fd: number): Owner {
    return this.ownerOf((this.table.slot[fd] as number) - 1);
  }

  // ---- reading ---------------------------------------------------------------------------------------------

  /** Goes on with a socket that was left readable. */
  resume(fd: number): void {
    const flags = this.flags[fd] as number;
    const before = this.table.generation[fd];
    if ((flags & is.HANDSHAKING) !== 0) this.handshake(fd);
    else this.read(fd);
    if ((flags & is.UNWATCHED) === 0 || this.table.generation[fd] !== before) return;
    const watched = this.watch.device(fd);
    if (watched < 0) this.dead(fd, causeOf(-watched));
  }

  /** Looks for a new device's first bytes, which are probably there. */
  greet(fd: number): void {
    (((this.flags[fd] as number) & is.HANDSHAKING) === 0 ? this.ready : this.handshakes).add(fd);
  }

  private handshake(fd: number): void {
    const result = this.tls.handshake(fd);
    if (result === -c.EAGAIN) return;
    const isDevice = ((this.flags[fd] as number) & is.DEVICE) !== 0;
    if (!isDevice && !this.openings.secured(fd, result)) return;
    if (result !== 1) {
      this.readEnded(fd, result);
      return;
    }
    this.drain(fd);
    this.read(fd); // its first bytes may have come along
  }

  private read(fd: number): void {
    for (let reads = 0; reads < this.reader.readsPerTurn; reads++) {
      const flags = this.flags[fd] as number;
      if ((flags & is.READABLE) === 0) return;
      if ((flags & is.EOF) !== 0 || this.pressure.isBlocked(fd, flags)) {
        // A reset voids what is still unread, and there is nobody left to wait for.
        if ((flags & (is.ERRED | is.BROKEN)) !== 0) this.broken(fd);
        return;
      }
      if ((flags & is.SPLICED) !== 0) this.relay(fd, flags);
      else this.deliver(fd, flags);
    }
    this.ready.add(fd);
  }

  private relay(fd: number, flags: number): void {
    const got = this.reader.receive(fd, flags);
    this.ready.brought(fd, got);
    if (got > 0) this.writer.forward(this.peer[fd] as number, got);
    else this.readEnded(fd, got);
  }

  private deliver(fd: number, flags: number): void {
    const { reader } = this;
    const got = reader.receive(fd, flags);
    this.ready.brought(fd, got);
    if (got <= 0) {
      this.readEnded(fd, got);
      return;
    }
    if ((flags & is.DETACHED) !== 0) return;
    const { bytes, start } = reader;
    if ((flags & is.DEVICE) !== 0) this.owner(fd).deviceData(bytes, start, start + got);
    else this.owner(fd).linkData(this.table.link[fd] as number, bytes, start, start + got);
  }

  private readEnded(fd: number, result: number): void {
    const flags = this.flags[fd] as number;
    const isBroken = (flags & is.BROKEN) !== 0;
    if (isBroken && (result !== -c.EAGAIN || this.reader.hasAll(fd, flags))) this.broken(fd);
    else if (result === -c.EAGAIN) this.states.readDry(fd);
    else if (result === 0) this.finRead(fd);
    else if (result === -c.EPROTO) this.tlsFailed(fd);
    else this.dead(fd, causeOf(-result));
  }

  private finRead(fd: number): void {
    this.states.finRead(fd);
    const flags = this.flags[fd] as number;
    if ((flags & is.DETACHED) !== 0) {
      if ((flags & is.FIN_SENT) !== 0) this.close(fd);
      return;
    }
    const owner = this.owner(fd);
    const link = this.table.link[fd] as number;
    if ((flags & is.SPLICED) !== 0) this.endings.finish(this.peer[fd] as number);
    if ((flags & is.DEVICE) !== 0) owner.deviceEnded('fin');
    else owner.linkEnded(link, 'fin');
  }

  /** An alert has told the device why. What it still sends is discarded, so that no reset overtakes the alert. */
  private tlsFailed(fd: number): void {
    const flags = this.flags[fd] as number;
    if ((flags & is.DETACHED) !== 0) {
      this.close(fd);
      return;
    }
    if ((flags & is.DEVICE) === 0) {
      this.dead(fd, 'tls');
      return;
    }
    const node = this.peer[fd] as number;
    this.unpair(fd);
    this.writer.clear(fd);
    this.tls.free(fd);
    this.states.refuseTls(fd);
    this.libc.shutdown(fd, c.SHUT_WR);
    this.ready.add(fd);
    if (node >= 0) this.reset(node);
    if ((flags & is.EOF) === 0) this.owner(fd).deviceEnded('tls');
  }

  private broken(fd: number): void {
    const errno = this.table.brokenBy[fd] || this.sockets.takeError(fd) || c.ECONNRESET;
    this.dead(fd, causeOf(errno));
  }

  /** The socket is gone. Relayed, a device's reset goes on to the node, and a node's ends the device politely. */
  private dead(fd: number, cause: EndCause): void {
    const flags = this.flags[fd] as number;
    const owner = this.owner(fd);
    const link = this.table.link[fd] as number;
    const peer = this.peer[fd] as number;
    this.close(fd);
    if ((flags & is.DETACHED) !== 0) return;
    if ((flags & is.DEVICE) !== 0) {
      if (peer >= 0) this.reset(peer);
      if ((flags & is.EOF) === 0) owner.deviceEnded(cause);
    } else {
      if (peer >= 0) this.flush(peer);
      if ((flags & is.EOF) === 0) owner.linkEnded(link, cause);
    }
  }

  // ---- writing ---------------------------------------------------------------------------------------------

  /** Told from the ready list, because a call of the connection must not call it back. */
  sendFailed(fd: number, error: number): void {
    this.writer.clear(fd);
    this.table.brokenBy[fd] = -error;
    this.states.sendFailed(fd);
    this.ready.add(fd);
  }

  private drain(fd: number): void {
    const flushed = this.writer.flush(fd);
    if (flushed < 0) return this.sendFailed(fd, flushed);
    if (this.waiting[fd] !== 0) return this.watch.room(fd);
    this.pressure.resumeSources(fd);
    if (((this.flags[fd] as number) & (is.FIN_WANTED | is.FIN_SENT)) === is.FIN_WANTED)
      this.endings.sendFin(fd);
  }
}
