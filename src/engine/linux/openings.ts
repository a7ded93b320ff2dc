import { messageOf } from '../../base/errors.ts';
import { type TargetTls, TLS_REASON } from '../../connection/wire.ts';
import { ECONNRESET, EPOLLERR, EPOLLHUP, EPOLLOUT, EPROTO, ETIMEDOUT, errnoName } from './libc.ts';
import type { Owner } from './owner.ts';
import type { ReadyList } from './ready-list.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';
import type { Sockets } from './sockets.ts';
import type { TlsSessions } from './tls-sessions.ts';

/** What is needed of the streams. */
interface OpeningsHost {
  owner(fd: number): Owner;
  close(fd: number): void;
  /** What was written goes at once. */
  sendNow(fd: number): void;
  /** Has the kernel tell what happens at a link that is connected. */
  watch(fd: number): void;
}

/** How links to nodes open: by TCP, and where the node is dialled by TLS, by its handshake. */
export class Openings {
  private readonly table: SocketTable;
  private readonly sockets: Sockets;
  private readonly tls: TlsSessions;
  private readonly handshakes: ReadyList;
  private readonly host: OpeningsHost;

  constructor(
    table: SocketTable,
    sockets: Sockets,
    tls: TlsSessions,
    handshakes: ReadyList,
    host: OpeningsHost,
  ) {
    this.table = table;
    this.sockets = sockets;
    this.tls = tls;
    this.handshakes = handshakes;
    this.host = host;
  }

  /** False where the attempt failed, its outcome is still open, or the connection has ended the link at once. */
  connected(fd: number, mask: number): boolean {
    const { states, flags, generation, link } = this.table;
    if ((mask & (EPOLLERR | EPOLLHUP)) !== 0) {
      this.fail(fd, errnoName(this.sockets.takeError(fd) || ECONNRESET));
      return false;
    }
    if ((mask & EPOLLOUT) === 0) return false;
    states.connected(fd);
    const before = generation[fd];
    this.host.owner(fd).linkOpened(link[fd] as number);
    if (generation[fd] === before) this.host.watch(fd);
    return generation[fd] === before && ((flags[fd] as number) & is.HANDSHAKING) === 0;
  }

  /** Has a link that was just connected shake hands before its connection hears of it. */
  secure(fd: number, target: TargetTls): void {
    const { states } = this.table;
    try {
      this.host.sendNow(fd); // a header goes before TLS
      this.tls.openLink(fd, target);
      this.sockets.setNoDelay(fd); // the CONNECT is small, and right behind the handshake's last message
      states.noDelaySet(fd);
      states.readable(fd);
      this.handshakes.add(fd);
    } catch (error) {
      this.fail(fd, TLS_REASON + messageOf(error));
    }
  }

  /** The handshake has ended: 1, or the negative errno. False where the link is not there any more. */
  secured(fd: number, result: number): boolean {
    const { generation, link } = this.table;
    if (result !== 1) {
      this.fail(fd, result === -EPROTO ? TLS_REASON + this.tls.whyRefused(fd) : errnoName(result));
      return false;
    }
    const before = generation[fd];
    this.host.owner(fd).linkSecured(link[fd] as number);
    return generation[fd] === before;
  }

  /** The node's next address is to be tried. */
  timedOut(fd: number): void {
    this.fail(fd, errnoName(ETIMEDOUT));
  }

  private fail(fd: number, reason: string): void {
    const owner = this.host.owner(fd);
    const link = this.table.link[fd] as number;
    this.host.close(fd);
    owner.linkFailed(link, reason);
  }
}
