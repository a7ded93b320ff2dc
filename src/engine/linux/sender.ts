import { EINTR, type Libc, MSG_DONTWAIT, MSG_NOSIGNAL } from './libc.ts';
import * as is from './socket-state.ts';
import { countSent, type SocketTable } from './socket-table.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** Sends at once, by a system call or through the TLS session of the socket. */
export class Sender {
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly tls: TlsSessions;
  private readonly setNoDelay: (fd: number) => void;

  constructor(libc: Libc, table: SocketTable, tls: TlsSessions, setNoDelay: (fd: number) => void) {
    this.libc = libc;
    this.table = table;
    this.tls = tls;
    this.setNoDelay = setNoDelay;
  }

  /** Bytes taken by the kernel, or the negative errno. */
  send(fd: number, address: number, length: number): number {
    const flags = this.table.flags[fd] as number;
    this.prepare(fd, flags);
    let sent: number;
    if ((flags & is.TLS) !== 0) sent = this.tls.write(fd, address, length);
    else {
      do sent = this.libc.send(fd, address, length, MSG_NOSIGNAL | MSG_DONTWAIT);
      while (sent === -EINTR);
    }
    if (sent > 0) countSent(this.table, fd, flags, sent);
    return sent;
  }

  /** Before each send. What a link sends first goes at once anyway, and for many it is the only thing. */
  prepare(fd: number, flags: number): void {
    if ((flags & is.DELAY_PENDING) === 0) return;
    const { states } = this.table;
    if ((flags & is.SENT) === 0) return states.firstSent(fd);
    this.setNoDelay(fd);
    states.noDelaySet(fd);
  }
}
