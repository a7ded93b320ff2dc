import type { Link } from '../../connection/wire.ts';
import type { StreamWatch } from './driver.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';

/** Takes new sockets into the socket table. */

/** Four system calls that most short links never need, and that a storm of connects must not wait for. */
const WATCH_PEER_AFTER_MS = 1000;

/** How sockets come into the table. */
export class Intake {
  private readonly table: SocketTable;
  private readonly sockets: Sockets;
  private readonly watch: StreamWatch;
  private readonly setTimer: (fd: number, ms: number) => void;

  constructor(
    table: SocketTable,
    sockets: Sockets,
    watch: StreamWatch,
    setTimer: (fd: number, ms: number) => void,
  ) {
    this.table = table;
    this.sockets = sockets;
    this.watch = watch;
    this.setTimer = setTimer;
  }

  /** An accepted socket. Its first bytes are read before it is watched, which then need not be told of. */
  device(fd: number, slot: number): void {
    this.table.states.enterDevice(fd);
    this.enter(fd, slot, -1);
  }

  /** A connecting socket. Returns 0 or the negative errno of watching it; then the fd is closed. */
  link(fd: number, slot: number, link: Link, isRecyclable: boolean, isSpare: boolean): number {
    const { table } = this;
    table.states.enterLink(fd, isRecyclable);
    this.enter(fd, slot, link);
    const added = this.watch.connecting(fd, isSpare);
    if (added === 0) {
      this.setTimer(fd, WATCH_PEER_AFTER_MS); // devices inherit it from the listener
      return 0;
    }
    table.states.leave(fd);
    table.slot[fd] = 0;
    this.sockets.reset(fd);
    return added;
  }

  /** What every socket has; its bits are set before. */
  enter(fd: number, slot: number, link: Link): void {
    const { table } = this;
    table.slot[fd] = slot + 1;
    table.link[fd] = link;
    table.peer[fd] = -1;
    table.brokenBy[fd] = 0;
  }
}
