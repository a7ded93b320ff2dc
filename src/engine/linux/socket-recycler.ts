import type { Libc, Pinned } from './libc.ts';
import type { Poller } from './poller.ts';
import type { SocketTable } from './socket-table.ts';

/** Keeps the sockets of links that were reset, so that the next links need not make new ones. */

/** Most that are kept: about what a storm of connects ends in one turn of the loop. */
const MOST = 128;
/** How long they are kept at most where no storm is. */
const KEPT_MS = 1000;
/** An address of the family AF_UNSPEC, which is 0: all of it is zeros. */
const NOWHERE_BYTES = 16;

type RecyclerPoller = Pick<Poller, 'keepsWatching' | 'isLetGo'>;

/**
 * Sockets of links that were reset, for the next links. Connecting one to nowhere (AF_UNSPEC; connect(2)) resets its
 * connection as a close would, and leaves a socket that may connect anew and is still watched by the poller. Making,
 * watching and closing another costs a sixth of all that a short connection costs.
 */
export class SocketRecycler {
  private readonly libc: Libc;
  private readonly table: SocketTable;
  private readonly nowhere: Pinned;
  private readonly clearIn: (ms: number) => void;
  private readonly poller: RecyclerPoller;
  private readonly spare: number[] = [];
  /** Events of their former life may still be in the batch of this turn, or operations of it under way. */
  private readonly quarantined: number[] = [];
  private isInBatch = false;
  private isToBeCleared = false;

  /** `clearIn` has `clear` called after so many milliseconds. */
  constructor(libc: Libc, table: SocketTable, clearIn: (ms: number) => void, poller: RecyclerPoller) {
    this.libc = libc;
    this.table = table;
    this.nowhere = libc.pin(NOWHERE_BYTES);
    this.clearIn = clearIn;
    this.poller = poller;
  }

  /** Resets a link's connection and keeps its socket. False where it must be closed instead. */
  keep(fd: number): boolean {
    if (this.spare.length + this.quarantined.length >= MOST) return false;
    if (this.libc.connect(fd, this.nowhere.address, NOWHERE_BYTES) < 0) return false;
    this.quarantined.push(fd);
    if (!this.isToBeCleared) this.clearIn(KEPT_MS);
    this.isToBeCleared = true;
    return true;
  }

  /** A batch of events is about to be served. What resetting a link made the poller report may be among them. */
  beginBatch(): void {
    this.isInBatch = true;
  }

  /** Every event of the batch has been served. */
  endBatch(): void {
    this.isInBatch = false;
    if (this.quarantined.length > 0) this.release();
  }

  private release(): void {
    const { poller, quarantined } = this;
    const { generation } = this.table;
    let kept = 0;
    for (const fd of quarantined) {
      if (!poller.isLetGo(fd)) {
        quarantined[kept++] = fd;
        continue;
      }
      if (poller.keepsWatching) generation[fd] = (generation[fd] as number) - 1; // again the one that the poller knows
      this.spare.push(fd);
    }
    quarantined.length = kept;
  }

  /**
   * A socket that may connect anew, or -1. One that is still watched is told of under the generation of its former life: none is
   * given while a batch is served, in which that one's end could be taken for the next one's.
   */
  take(): number {
    return this.isInBatch && this.poller.keepsWatching ? -1 : (this.spare.pop() ?? -1);
  }

  /** Closes them all. */
  clear(): void {
    this.isToBeCleared = false;
    this.endBatch();
    const { generation } = this.table;
    this.spare.push(...this.quarantined.splice(0));
    for (let fd = this.spare.pop(); fd !== undefined; fd = this.spare.pop()) {
      generation[fd] = (generation[fd] as number) + 1;
      this.libc.close(fd);
    }
  }
}
