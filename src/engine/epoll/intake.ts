import type { Link } from '../../connection/wire.ts';
import { type Poller, READ_EVENTS, STREAM_EVENTS } from './poller.ts';
import type { SocketTable } from './socket-table.ts';
import * as is from './socket-table.ts';
import type { Sockets } from './sockets.ts';

/** Four system calls that most short links never need, and that a storm of connects must not wait for. */
const WATCH_PEER_AFTER_MS = 1000;

/** How sockets come into the table, and under the poller's eyes. */
export class Intake {
  private readonly table: SocketTable;
  private readonly sockets: Sockets;
  private readonly poller: Poller;
  private readonly setTimer: (fd: number, ms: number) => void;

  constructor(
    table: SocketTable,
    sockets: Sockets,
    poller: Poller,
    setTimer: (fd: number, ms: number) => void,
  ) {
    this.table = table;
    this.sockets = sockets;
    this.poller = poller;
    this.setTimer = setTimer;
  }

  /** An accepted socket. Its first bytes are read before the poller hears of it, which then need not tell of them. */
  device(fd: number, slot: number): void {
    this.enter(fd, slot, is.DEVICE | is.READABLE | is.UNWATCHED, -1);
  }

  /** A connecting socket. Returns 0 or the negative errno of epoll; then the fd is closed. */
  link(fd: number, slot: number, link: Link, isRecyclable: boolean, isWatched: boolean): number {
    const { table } = this;
    this.enter(fd, slot, is.CONNECTING | is.DELAY_PENDING | (isRecyclable ? is.RECYCLABLE : 0), link);
    const added = isWatched ? 0 : this.poller.add(fd, table.generation[fd] as number, STREAM_EVENTS);
    if (added === 0) {
      this.setTimer(fd, WATCH_PEER_AFTER_MS); // devices inherit it from the listener
      return 0;
    }
    table.flags[fd] = 0;
    table.slot[fd] = 0;
    this.sockets.reset(fd);
    return added;
  }

  private enter(fd: number, slot: number, state: number, link: Link): void {
    const { table } = this;
    table.flags[fd] = state;
    table.slot[fd] = slot + 1;
    table.link[fd] = link;
    table.peer[fd] = -1;
    table.brokenBy[fd] = 0;
  }

  /** A device has been read for the first time. Returns 0 or the negative errno of epoll. */
  watch(fd: number, isWaiting: boolean): number {
    const flags = (this.table.flags[fd] as number) & ~is.UNWATCHED;
    // TLS may have to write in order to read. For others there is room until a send was short.
    const isBlind = (flags & is.TLS) === 0 && !isWaiting;
    this.table.flags[fd] = isBlind ? flags | is.NO_WRITE_EVENTS : flags;
    return this.poller.add(fd, this.table.generation[fd] as number, isBlind ? READ_EVENTS : STREAM_EVENTS);
  }

  /** Something waits to be sent. */
  watchRoom(fd: number): void {
    const flags = this.table.flags[fd] as number;
    if ((flags & is.NO_WRITE_EVENTS) === 0) return;
    this.table.flags[fd] = flags & ~is.NO_WRITE_EVENTS;
    this.poller.modify(fd, this.table.generation[fd] as number, STREAM_EVENTS);
  }
}
