/**
 * The state of every stream socket of one thread, and the only code that changes it.
 *
 * A socket is closed (no bit), or in one of these states; `LIFECYCLE.md` beside this file shows who moves it:
 *
 * - connecting: a link whose TCP connection is not established yet. What is written to it waits.
 * - handshaking: its TCP connection is established, its TLS session is not. What is written to it waits.
 * - open: it is read and written, by its connection or, when it is spliced, straight from and to its peer.
 * - half-closed: its FIN was read (`EOF`), or ours was sent (`FIN_SENT`); the other direction goes on.
 * - detached: its connection has left it. It sends what waits, then FIN, and is closed when the other end has closed too.
 * - frozen: nothing is looked at until it is thawed, or closed because another engine has it.
 * - broken: a send failed. It is closed as soon as the event loop comes to it, because a call of the connection must not
 *   call the connection back.
 *
 * Besides, bits say what is known of the socket's readiness (`READABLE`, `ENDING`, `ERRED`, `RETRY`, `QUEUED`), whether its
 * connection wants to read it (`HELD`), and which system calls it still needs (`UNWATCHED`, `NO_WRITE_EVENTS`,
 * `DELAY_PENDING`, `SENT`, `RECYCLABLE`). Which bits may stand together is in `socket-rules.ts`, and is checked in tests.
 */

export const DEVICE = 1 << 0; // the device's side; otherwise a link to a node
export const CONNECTING = 1 << 1;
export const READABLE = 1 << 2; // the kernel said so, and no read has come back short since
export const ENDING = 1 << 3; // FIN, reset or an error has arrived: read on until it shows
export const ERRED = 1 << 4; // the kernel reported an error on it
export const BROKEN = 1 << 5; // a send failed; `brokenBy` of the socket table has the errno
export const HELD = 1 << 6; // the connection does not want to read it at present
export const SPLICED = 1 << 7; // `peer` of the socket table is its other half
export const DETACHED = 1 << 8; // flushing its last bytes; the connection hears no more of it
export const EOF = 1 << 9; // its FIN was read
export const FIN_WANTED = 1 << 10; // FIN follows what waits
export const FIN_SENT = 1 << 11;
export const QUEUED = 1 << 12; // in a ready list: that of reads, or that of handshakes
export const TLS = 1 << 13; // read and written through its TLS session
export const HANDSHAKING = 1 << 14; // which is not established yet
export const RETRY = 1 << 15; // a read waits for room, or a write for bytes: any event retries both
export const DELAY_PENDING = 1 << 16; // a link: TCP_NODELAY is not set yet
export const SENT = 1 << 17; // a link: something was sent before TCP_NODELAY was set
export const UNWATCHED = 1 << 18; // a new device: the poller does not know it yet
export const NO_WRITE_EVENTS = 1 << 19; // a device: the poller does not tell when it has room
export const RECYCLABLE = 1 << 20; // a link whose socket may serve the next one
export const FROZEN = 1 << 21; // unknown to the poller, until it is thawed or another engine goes on with it

/** To these sockets an event means something else than reading and writing. */
export const UNSETTLED = CONNECTING | HANDSHAKING | RETRY | FROZEN;

/** What another engine must know of a socket that it goes on with. */
const HANDED = DEVICE | HELD | DETACHED | EOF | FIN_WANTED | FIN_SENT;
/** What holds only where the poller tells of the socket. */
const WATCHED = READABLE | ENDING | QUEUED | RETRY | NO_WRITE_EVENTS;

/** The bits of every socket, by fd, for reading only. A closed fd has none, so what is still queued for it does nothing. */
export interface SocketFlags {
  readonly [fd: number]: number;
}

/**
 * Every change of a socket's state, each one write of its bits. The methods are small bit operations, which V8 inlines.
 * They do nothing else: whoever calls one has made the system call that belongs to it.
 */
export class SocketStates {
  readonly flags: SocketFlags;
  private readonly bits: Uint32Array;

  constructor(capacity: number) {
    this.bits = new Uint32Array(capacity);
    this.flags = this.bits;
  }

  private set(fd: number, bits: number): void {
    this.bits[fd] = (this.bits[fd] as number) | bits;
  }

  private clear(fd: number, bits: number): void {
    this.bits[fd] = (this.bits[fd] as number) & ~bits;
  }

  // ---- begin and end

  /** A device was accepted. Its first bytes are probably there, so it is read before the poller hears of it. */
  enterDevice(fd: number): void {
    this.bits[fd] = DEVICE | READABLE | UNWATCHED;
  }

  /** A link was dialled. */
  enterLink(fd: number, isRecyclable: boolean): void {
    this.bits[fd] = CONNECTING | DELAY_PENDING | (isRecyclable ? RECYCLABLE : 0);
  }

  /** Another engine has handed it over, frozen; of its bits those of `HANDED` are taken. TCP_NODELAY is set on all. */
  enterFrozen(fd: number, bits: number): void {
    this.bits[fd] = (bits & HANDED) | FROZEN | ((bits & DEVICE) === 0 ? SENT : 0);
  }

  /** The socket is closed, or about to be. */
  leave(fd: number): void {
    this.bits[fd] = 0;
  }

  // ---- opening

  /** TCP is established. */
  connected(fd: number): void {
    this.clear(fd, CONNECTING);
  }

  beginTls(fd: number): void {
    this.set(fd, TLS | HANDSHAKING);
  }

  /** Goes on with TLS whose handshake was made elsewhere. */
  attachTls(fd: number): void {
    this.set(fd, TLS);
  }

  endHandshake(fd: number): void {
    this.clear(fd, HANDSHAKING);
  }

  /** Its TLS session is freed. */
  dropTls(fd: number): void {
    this.clear(fd, TLS | HANDSHAKING | RETRY);
  }

  // ---- readiness

  /** It may be read. */
  readable(fd: number): void {
    this.set(fd, READABLE);
  }

  /** The kernel reported that there is something to read; an end and an error are read too. */
  report(fd: number, isEnding: boolean, hasErred: boolean): void {
    this.set(fd, READABLE | (isEnding ? ENDING : 0) | (hasErred ? ENDING | ERRED : 0));
  }

  /** A read came back short: the kernel tells when there is more. */
  readDry(fd: number): void {
    this.clear(fd, READABLE);
  }

  /** TLS waits for the direction that is not the call's own. */
  awaitRetry(fd: number): void {
    this.set(fd, RETRY);
  }

  /** An event has come, and both directions are tried again; an end is read too. */
  retry(fd: number, isEnding: boolean): void {
    this.bits[fd] = ((this.bits[fd] as number) | READABLE | (isEnding ? ENDING : 0)) & ~RETRY;
  }

  enqueue(fd: number): void {
    this.set(fd, QUEUED);
  }

  dequeue(fd: number): void {
    this.clear(fd, QUEUED);
  }

  // ---- what the connection asks for

  hold(fd: number): void {
    this.set(fd, HELD);
  }

  unhold(fd: number): void {
    this.clear(fd, HELD);
  }

  splice(fd: number): void {
    this.set(fd, SPLICED);
  }

  unsplice(fd: number): void {
    this.clear(fd, SPLICED);
  }

  /** Its connection leaves it. */
  detach(fd: number): void {
    this.bits[fd] = ((this.bits[fd] as number) & ~HELD) | DETACHED;
  }

  // ---- handing over

  /** The poller has forgotten it, and so have those who had it queued. */
  freeze(fd: number): void {
    this.bits[fd] = ((this.bits[fd] as number) & ~WATCHED) | FROZEN;
  }

  /** It is read once, whatever the poller tells; and what TLS owes is tried again at the first event. */
  thaw(fd: number, isWaiting: boolean): void {
    const bits = ((this.bits[fd] as number) & ~FROZEN) | READABLE;
    if ((bits & TLS) !== 0) this.bits[fd] = bits | RETRY;
    else this.bits[fd] = (bits & DEVICE) !== 0 && !isWaiting ? bits | NO_WRITE_EVENTS : bits;
  }

  // ---- ending

  wantFin(fd: number): void {
    this.set(fd, FIN_WANTED);
  }

  finSent(fd: number): void {
    this.set(fd, FIN_SENT);
  }

  finRead(fd: number): void {
    this.bits[fd] = ((this.bits[fd] as number) & ~READABLE) | EOF;
  }

  sendFailed(fd: number): void {
    this.set(fd, BROKEN | READABLE | ENDING);
  }

  /** A device broke TLS and was told so by an alert: it is read until it closes, and what it sends is dropped. */
  refuseTls(fd: number): void {
    const kept = (this.bits[fd] as number) & UNWATCHED;
    this.bits[fd] = DEVICE | DETACHED | READABLE | FIN_WANTED | FIN_SENT | kept;
  }

  // ---- system calls that are still to come

  /** The poller is told of a device, for which there is room until a send is short. */
  watch(fd: number, isWaiting: boolean): void {
    const bits = (this.bits[fd] as number) & ~UNWATCHED;
    this.bits[fd] = (bits & RETRY) === 0 && !isWaiting ? bits | NO_WRITE_EVENTS : bits;
  }

  /** The poller is to tell when there is room, too. */
  wantWriteEvents(fd: number): void {
    this.clear(fd, NO_WRITE_EVENTS);
  }

  /** Something is sent on a link for the first time. */
  firstSent(fd: number): void {
    this.set(fd, SENT);
  }

  /** TCP_NODELAY is set. */
  noDelaySet(fd: number): void {
    this.clear(fd, DELAY_PENDING);
  }
}
