import { DESCRIPTORS_MAX } from '../descriptors.ts';
import { type Libc, RLIMIT_NOFILE } from './libc.ts';

/** State bits of one socket. A closed fd has none, so whatever is still queued for it finds nothing to do. */
export const DEVICE = 1 << 0; // the device's side; otherwise a node's link
export const CONNECTING = 1 << 1;
export const READABLE = 1 << 2; // the kernel said so, and no read has come back short since
export const ENDING = 1 << 3; // FIN, reset or an error has arrived: read on until it shows
export const ERRED = 1 << 4; // the kernel reported an error on it
export const BROKEN = 1 << 5; // a send failed; `brokenBy` has the errno
export const HELD = 1 << 6; // the connection does not want to read it now
export const SPLICED = 1 << 7; // `peer` is its other half
export const DETACHED = 1 << 8; // flushing its last bytes; the connection hears no more of it
export const EOF = 1 << 9; // its FIN was read
export const FIN_WANTED = 1 << 10; // FIN follows what waits
export const FIN_SENT = 1 << 11;
export const QUEUED = 1 << 12; // in the ready list, or in line for a handshake
export const TLS = 1 << 13; // read and written through its TLS session
export const HANDSHAKING = 1 << 14; // which is not established yet
export const RETRY = 1 << 15; // a read waits for room, or a write for bytes: any event retries both
export const DELAY_PENDING = 1 << 16; // TCP_NODELAY is not set yet
export const SENT = 1 << 17; // of one that is DELAY_PENDING: something was
export const UNWATCHED = 1 << 18; // a new device, of which the poller does not know yet
export const NO_WRITE_EVENTS = 1 << 19; // the poller does not tell when it has room
export const RECYCLABLE = 1 << 20; // a link whose socket may serve the next one
/** What an event means something else for than reading and writing. */
export const UNSETTLED = CONNECTING | HANDSHAKING | RETRY;

/**
 * What the engine knows of each socket, by fd, in memory that costs nothing until it is touched.
 * `generation` grows when an fd is closed: an event that carries an older one is of a former life.
 */
export interface SocketTable {
  readonly capacity: number;
  readonly generation: Uint32Array;
  readonly flags: Uint32Array;
  /** The connection's slot plus one; 0 for an fd that is no stream of ours. */
  readonly slot: Int32Array;
  readonly peer: Int32Array;
  readonly link: Int32Array;
  readonly brokenBy: Int16Array;
  /** Payload bytes since accept, by connection slot. */
  readonly fromDevice: Float64Array;
  readonly toDevice: Float64Array;
  /** By connection slot: what log and lists call the connection; 0: nothing yet. */
  readonly number: Uint32Array;
}

export function createSocketTable(capacity: number): SocketTable {
  return {
    capacity,
    generation: new Uint32Array(capacity),
    flags: new Uint32Array(capacity),
    slot: new Int32Array(capacity),
    peer: new Int32Array(capacity),
    link: new Int32Array(capacity),
    brokenBy: new Int16Array(capacity),
    fromDevice: new Float64Array(capacity),
    toDevice: new Float64Array(capacity),
    number: new Uint32Array(capacity),
  };
}

/** The process's limit on open files, which every fd is below (getrlimit(2)). */
export function descriptorLimit(libc: Libc): number {
  const limit = libc.pin(16);
  if (libc.getrlimit(RLIMIT_NOFILE, limit.address) < 0) return DESCRIPTORS_MAX;
  const soft = limit.bytes.readBigUInt64LE(0);
  return soft > BigInt(DESCRIPTORS_MAX) ? DESCRIPTORS_MAX : Number(soft);
}
