import type { Freezer } from '../linux/driver.ts';
import { STREAM_EVENTS } from '../linux/poller.ts';
import * as is from '../linux/socket-state.ts';
import type { SocketTable } from '../linux/socket-table.ts';
import type { Operations } from './operations.ts';
import type { RingPoller } from './poller.ts';
import type { PoolReader } from './reader.ts';
import type { Ring } from './ring.ts';
import type { BatchWriter } from './writer.ts';

/** Lets go of sockets that are handed over, so that nothing of them is in the ring or in the kernel's hands, and takes them back. */

/**
 * Receives are cancelled, and what they still bring goes over as bytes that are not read yet. A send is never under way between two
 * turns; what a turn has gathered is sent before.
 */
export function createFreezer(
  { states, flags, generation }: SocketTable,
  ring: Ring,
  operations: Operations,
  poller: RingPoller,
  reader: PoolReader,
  writer: BatchWriter,
): Freezer {
  return {
    settle(fds) {
      if (ring.hasLost) return false; // whoever went on might miss some bytes
      poller.settleSends();
      for (const fd of fds) writer.sendNow(fd);
      return poller.endReceives(fds) && !fds.some((fd) => reader.hasFailed(fd));
    },
    freeze(fd) {
      states.freeze(fd);
      operations.forget(fd);
      if (ring.hasPending) ring.workOff(); // a poll would keep the socket open, whoever closes it
      generation[fd] = (generation[fd] as number) + 1; // what is still told of it is nobody's
    },
    thaw(fd) {
      states.thaw(fd, true); // room is told by a poll of its own
      if (((flags[fd] as number) & is.TLS) !== 0) operations.poll(fd, STREAM_EVENTS);
      else {
        reader.resumeLater(fd);
        if (writer.waiting[fd] !== 0) operations.awaitRoom(fd);
      }
      return 0;
    },
  };
}
