import { DirectWriter } from '../linux/direct-writer.ts';
import type { Driver, DriverHost, StreamWatch } from '../linux/driver.ts';
import { EPOLLOUT, type Libc } from '../linux/libc.ts';
import { STREAM_EVENTS } from '../linux/poller.ts';
import { ScratchReader } from '../linux/scratch-reader.ts';
import { Sender } from '../linux/sender.ts';
import * as is from '../linux/socket-state.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import type { TlsSessions } from '../linux/tls-sessions.ts';
import { BufferPool } from './buffer-pool.ts';
import { createFreezer } from './freezer.ts';
import { MissedResets } from './missed-resets.ts';
import { Operations } from './operations.ts';
import { RingPoller } from './poller.ts';
import { PoolReader } from './reader.ts';
import { Ring, type RingSizes } from './ring.ts';
import { BatchWriter } from './writer.ts';

/** Sockets by completions: a ring receives into buffers of its own, and sends what a turn has gathered. */

export interface UringSizes extends RingSizes {
  /** Buffers that all sockets receive into; a power of two, at most 32,768. */
  readonly buffers: number;
}

const SIZES: UringSizes = { submissions: 2048, completions: 8192, buffers: 1024 };
/** For most messages, and no power of two: their beginnings, which are all that they touch, share no lines of the caches. */
const BUFFER_BYTES = 1024 + 128;
/** A socket stops to receive when so many of its bytes have come and are not read. */
const UNREAD_BYTES = 8192;

/** @throws Error that says what the kernel lacks, or does not allow */
export function createUringDriver(libc: Libc, table: SocketTable, sizes = SIZES): Driver {
  const { ring, pool } = openRing(libc, sizes);
  const operations = new Operations(ring, table);
  const poller = new RingPoller(ring, operations, table);
  function serve(tls: TlsSessions, readBytes: number, host: DriverHost) {
    const scratch = new ScratchReader(libc, table, tls, readBytes);
    const missedResets = new MissedResets(libc, table, operations);
    const reader = new PoolReader(libc, table, operations, pool, scratch, missedResets, UNREAD_BYTES);
    const sender = new Sender(libc, table, tls, (fd) => host.setNoDelay(fd));
    const watch = createStreamWatch(table, operations, reader);
    const direct = new DirectWriter(libc, table.capacity, table.flags, sender, scratch.scratch, {
      failed: (fd, error) => host.failed(fd, error),
      room: (fd) => watch.room(fd),
    });
    const writer = new BatchWriter(libc, table, operations, pool, reader, direct, sender, host);
    poller.streams = { pool, reader, writer, missedResets };
    const freezer = createFreezer(table, ring, operations, poller, reader, writer);
    return { reader, writer, watch, freezer };
  }
  return { poller, serve };
}

/** A ring with its buffers. Where there is no memory for both, none stays open. */
function openRing(libc: Libc, sizes: UringSizes) {
  const ring = new Ring(libc, sizes);
  try {
    return { ring, pool: new BufferPool(libc, ring, { count: sizes.buffers, bytes: BUFFER_BYTES }) };
  } catch (error) {
    ring.close();
    throw error;
  }
}

/** Plain sockets receive as soon as they can. Those of TLS are read and written when they are ready, as with epoll. */
function createStreamWatch(
  { states, flags }: SocketTable,
  operations: Operations,
  reader: PoolReader,
): StreamWatch {
  const isTls = (fd: number): boolean => ((flags[fd] as number) & is.TLS) !== 0;
  return {
    connecting(fd) {
      operations.poll(fd, EPOLLOUT);
      return 0;
    },
    connected(fd) {
      if (isTls(fd)) operations.poll(fd, STREAM_EVENTS);
      else reader.goOn(fd, false);
    },
    device(fd) {
      states.watch(fd, true);
      if (isTls(fd)) operations.poll(fd, STREAM_EVENTS);
      else reader.goOn(fd, true);
      return 0;
    },
    room(fd) {
      // One that connects is told to have room when it is connected, and TLS has its poll. One that is frozen is told nothing.
      if (((flags[fd] as number) & (is.TLS | is.CONNECTING | is.FROZEN)) === 0) operations.awaitRoom(fd);
    },
  };
}
