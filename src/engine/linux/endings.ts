import type { Writer } from './driver.ts';
import { type Libc, SHUT_WR } from './libc.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** Ends what a socket sends behind its last byte, and closes what has ended both ways. */
export class Endings {
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly tls: TlsSessions;
  private readonly writer: Pick<Writer, 'waiting' | 'sendNow'>;
  private readonly close: (fd: number) => void;

  constructor(
    libc: Libc,
    table: SocketTable,
    tls: TlsSessions,
    writer: Pick<Writer, 'waiting' | 'sendNow'>,
    close: (fd: number) => void,
  ) {
    this.libc = libc;
    this.table = table;
    this.tls = tls;
    this.writer = writer;
    this.close = close;
  }

  finish(fd: number): void {
    const flags = this.table.flags[fd] as number;
    if ((flags & is.FIN_WANTED) !== 0) {
      if ((flags & is.FIN_SENT) !== 0) this.closeIfDone(fd);
      return;
    }
    this.writer.sendNow(fd);
    this.table.states.wantFin(fd);
    if (this.writer.waiting[fd] === 0) this.sendFin(fd);
  }

  /** Called again by `Streams.drain` where TLS has no room, or no session, for its own end yet. */
  sendFin(fd: number): void {
    const { flags, states } = this.table;
    if (((flags[fd] as number) & is.TLS) !== 0 && !this.tls.closeNotify(fd)) return;
    this.libc.shutdown(fd, SHUT_WR); // ENOTCONN: the reset that caused it is about to be read
    states.finSent(fd);
    this.closeIfDone(fd);
  }

  /** The other end may still lose what it has not read to a reset. */
  private closeIfDone(fd: number): void {
    const flags = this.table.flags[fd] as number;
    if ((flags & is.DETACHED) !== 0) {
      if ((flags & is.EOF) !== 0) this.close(fd);
      return;
    }
    const peer = this.table.peer[fd] as number;
    if (peer < 0 || !this.isDone(fd) || !this.isDone(peer)) return;
    this.close(fd);
    this.close(peer);
  }

  /** Both directions have ended. */
  private isDone(fd: number): boolean {
    return ((this.table.flags[fd] as number) & (is.EOF | is.FIN_SENT)) === (is.EOF | is.FIN_SENT);
  }
}
