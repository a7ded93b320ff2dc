import { DirectWriter } from '../linux/direct-writer.ts';
import type { Driver, DriverHost, Freezer, StreamWatch } from '../linux/driver.ts';
import type { Libc } from '../linux/libc.ts';
import { type Poller, READ_EVENTS, STREAM_EVENTS } from '../linux/poller.ts';
import { ScratchReader } from '../linux/scratch-reader.ts';
import { Sender } from '../linux/sender.ts';
import * as is from '../linux/socket-state.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import type { TlsSessions } from '../linux/tls-sessions.ts';
import { createPoller } from './poller.ts';

/** Sockets by readiness: epoll tells that one may be read or written, and a system call then does it. */

const EVENTS_PER_TURN = 512;

export function createEpollDriver(libc: Libc, table: SocketTable): Driver {
  const poller = createPoller(libc, EVENTS_PER_TURN);
  function serve(tls: TlsSessions, readBytes: number, host: DriverHost) {
    const reader = new ScratchReader(libc, table, tls, readBytes);
    const sender = new Sender(libc, table, tls, (fd) => host.setNoDelay(fd));
    const watch = createStreamWatch(table, poller, (fd) => writer.waiting[fd] !== 0);
    const writer: DirectWriter = new DirectWriter(libc, table.capacity, table.flags, sender, reader.scratch, {
      failed: (fd, error) => host.failed(fd, error),
      room: (fd) => watch.room(fd),
    });
    const freezer = createFreezer(table, poller, (fd) => writer.waiting[fd] !== 0);
    tls.onAwaitRoom((fd) => watch.room(fd));
    return { reader, writer, watch, freezer };
  }
  return { poller, serve };
}

/** A link is registered when it is dialled. A device is, behind its first read, and without write events where it does without. */
function createStreamWatch(
  { states, flags, generation }: SocketTable,
  poller: Poller,
  isWaiting: (fd: number) => boolean,
): StreamWatch {
  const generationOf = (fd: number): number => generation[fd] as number;
  return {
    connecting: (fd, isSpare) => (isSpare ? 0 : poller.add(fd, generationOf(fd), STREAM_EVENTS)),
    connected: () => undefined,
    device(fd) {
      states.watch(fd, isWaiting(fd));
      return poller.add(fd, generationOf(fd), eventsOf(flags[fd] as number));
    },
    room(fd) {
      if (((flags[fd] as number) & is.NO_WRITE_EVENTS) === 0) return;
      states.wantWriteEvents(fd);
      poller.modify(fd, generationOf(fd), STREAM_EVENTS);
    },
  };
}

function eventsOf(flags: number): number {
  return (flags & is.NO_WRITE_EVENTS) !== 0 ? READ_EVENTS : STREAM_EVENTS;
}

/** epoll tells of a socket as long as any of its duplicates is open, so it must be told to forget it. */
function createFreezer(
  { states, flags, generation }: SocketTable,
  poller: Poller,
  isWaiting: (fd: number) => boolean,
): Freezer {
  return {
    settle: () => true, // nothing is ever under way
    freeze(fd) {
      poller.remove(fd);
      states.freeze(fd);
    },
    thaw(fd) {
      states.thaw(fd, isWaiting(fd));
      return poller.add(fd, generation[fd] as number, eventsOf(flags[fd] as number));
    },
  };
}
