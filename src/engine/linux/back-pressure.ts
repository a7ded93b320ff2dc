import type { Owner } from './owner.ts';
import type { ReadyReads } from './ready-list.ts';
import * as is from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';

/** While bytes wait towards one peer its source is not read: this is what bounds the outbox. */
export class BackPressure {
  private readonly table: SocketTable;
  private readonly waiting: Uint32Array;
  private readonly ready: Pick<ReadyReads, 'add'>;
  private readonly ownerOf: (slot: number) => Owner;

  constructor(
    table: SocketTable,
    waiting: Uint32Array,
    ready: Pick<ReadyReads, 'add'>,
    ownerOf: (slot: number) => Owner,
  ) {
    this.table = table;
    this.waiting = waiting;
    this.ready = ready;
    this.ownerOf = ownerOf;
  }

  /** Whether what the socket would bring has nowhere to go yet. */
  isBlocked(fd: number, flags: number): boolean {
    if ((flags & is.HELD) !== 0) return true;
    if ((flags & is.SPLICED) !== 0) return this.waiting[this.table.peer[fd] as number] !== 0;
    if ((flags & is.DETACHED) !== 0) return false;
    const owner = this.ownerOf((this.table.slot[fd] as number) - 1);
    if ((flags & is.DEVICE) !== 0) return owner.linksWaiting();
    return owner.deviceFd >= 0 && this.waiting[owner.deviceFd] !== 0;
  }

  /** The socket takes bytes again, so those who wait for that are read on. */
  resumeSources(fd: number): void {
    const flags = this.table.flags[fd] as number;
    if ((flags & is.SPLICED) !== 0) {
      this.ready.add(this.table.peer[fd] as number);
      return;
    }
    const owner = this.ownerOf((this.table.slot[fd] as number) - 1);
    if ((flags & is.DEVICE) !== 0) owner.eachLink((link) => this.ready.add(link));
    else {
      owner.linkDrained(fd);
      if (owner.deviceFd >= 0) this.ready.add(owner.deviceFd);
    }
  }
}
