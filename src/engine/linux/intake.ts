import type { Link } from '../../connection/wire.ts';
import { type Poller, READ_EVENTS, STREAM_EVENTS } from '../epoll/poller.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';

/** Takes new sockets into the socket table, and has the poller watch them. */

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
    this.table.states.enterDevice(fd);
    this.enter(fd, slot, -1);
  }

  /** A connecting socket. Returns 0 or the negative errno of epoll; then the fd is closed. */
  link(fd: number, slot: number, link: Link, isRecyclable: boolean, isWatched: boolean): number {
    const { table } = this;
    table.states.enterLink(fd, isRecyclable);
    this.enter(fd, slot, link);
    const added = isWatched ? 0 : this.poller.add(fd, table.generation[fd] as number, STREAM_EVENTS);
    if (added === 0) {
      this.setTimer(fd, WATCH_PEER_AFTER_MS); // devices inherit it from the listener
      return 0;
    }
    table.states.leave(fd);
    table.slot[fd] = 0;
    this.sockets.reset(fd);
    return added;
  }

  private enter(fd: number, slot: number, link: Link): void {
    const { table } = this;
    table.slot[fd] = slot + 1;
    table.link[fd] = link;
    table.peer[fd] = -1;
    table.brokenBy[fd] = 0;
  }

  /** A device has been read for the first time. Returns 0 or the negative errno of epoll. */
  watch(fd: number, isWaiting: boolean): number {
    const { states, flags, generation } = this.table;
    states.watch(fd, isWaiting);
    const events = ((flags[fd] as number) & is.NO_WRITE_EVENTS) !== 0 ? READ_EVENTS : STREAM_EVENTS;
    return this.poller.add(fd, generation[fd] as number, events);
  }

  /** Something waits to be sent. */
  watchRoom(fd: number): void {
    const { states, flags, generation } = this.table;
    if (((flags[fd] as number) & is.NO_WRITE_EVENTS) === 0) return;
    states.wantWriteEvents(fd);
    this.poller.modify(fd, generation[fd] as number, STREAM_EVENTS);
  }
}
