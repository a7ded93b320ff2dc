import { DESCRIPTORS_MAX } from '../descriptors.ts';
import { type Libc, RLIMIT_NOFILE } from './libc.ts';
import { DETACHED, DEVICE, type SocketFlags, SocketStates } from './socket-state.ts';

/**
 * What the engine knows of each socket, by fd, in memory that costs nothing until it is touched.
 * `generation` grows when an fd is closed: an event that carries an older one is of a former life.
 */
export interface SocketTable {
  readonly capacity: number;
  readonly generation: Uint32Array;
  /** Who changes the state bits, */
  readonly states: SocketStates;
  /** and what they are. */
  readonly flags: SocketFlags;
  /** The connection's slot plus one; 0 for an fd that is no stream of ours. */
  readonly slot: Int32Array;
  readonly peer: Int32Array;
  readonly link: Int32Array;
  readonly brokenBy: Int16Array;
  /** Payload bytes since accept, by connection slot. */
  readonly fromDevice: Float64Array;
  readonly toDevice: Float64Array;
  /** By connection slot: where in `traffic` its bytes are counted; 0: not yet. */
  readonly place: Int32Array;
  readonly traffic: Float64Array;
  /** By connection slot: what log and lists call the connection; 0: nothing yet. */
  readonly number: Uint32Array;
}

export function createSocketTable(
  capacity: number,
  states = new SocketStates(capacity),
  traffic: Float64Array = new Float64Array(2),
): SocketTable {
  return {
    capacity,
    states,
    flags: states.flags,
    generation: new Uint32Array(capacity),
    slot: new Int32Array(capacity),
    peer: new Int32Array(capacity),
    link: new Int32Array(capacity),
    brokenBy: new Int16Array(capacity),
    fromDevice: new Float64Array(capacity),
    toDevice: new Float64Array(capacity),
    place: new Int32Array(capacity),
    traffic,
    number: new Uint32Array(capacity),
  };
}

/** The slot is another connection's from now on. */
export function beginSlot({ fromDevice, toDevice, place, number }: SocketTable, slot: number): void {
  fromDevice[slot] = 0;
  toDevice[slot] = 0;
  place[slot] = 0;
  number[slot] = 0;
}

/** What was counted nowhere is counted at the first place. */
export function countAt(
  { fromDevice, toDevice, place, traffic }: SocketTable,
  slot: number,
  at: number,
): void {
  if (place[slot] === 0) {
    traffic[at] = (traffic[at] as number) + (fromDevice[slot] as number);
    traffic[at + 1] = (traffic[at + 1] as number) + (toDevice[slot] as number);
  }
  place[slot] = at;
}

/** A socket has been read. */
export function countReceived(table: SocketTable, fd: number, flags: number, bytes: number): void {
  if ((flags & (DEVICE | DETACHED)) !== DEVICE) return; // what comes behind its end, or a breach of TLS, is dropped
  const slot = (table.slot[fd] as number) - 1;
  table.fromDevice[slot] = (table.fromDevice[slot] as number) + bytes;
  const place = table.place[slot] as number;
  table.traffic[place] = (table.traffic[place] as number) + bytes;
}

/** The kernel has taken bytes for it. */
export function countSent(table: SocketTable, fd: number, flags: number, bytes: number): void {
  if ((flags & DEVICE) === 0) return;
  const slot = (table.slot[fd] as number) - 1;
  table.toDevice[slot] = (table.toDevice[slot] as number) + bytes;
  const place = (table.place[slot] as number) + 1;
  table.traffic[place] = (table.traffic[place] as number) + bytes;
}

/** The process's limit on open files, which every fd is below (getrlimit(2)). */
export function descriptorLimit(libc: Libc): number {
  const limit = libc.pin(16);
  if (libc.getrlimit(RLIMIT_NOFILE, limit.address) < 0) return DESCRIPTORS_MAX;
  const soft = limit.bytes.readBigUInt64LE(0);
  return soft > BigInt(DESCRIPTORS_MAX) ? DESCRIPTORS_MAX : Number(soft);
}
