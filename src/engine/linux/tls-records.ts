import { copyBytes } from '../../base/bytes.ts';
import { HEADER_BYTES } from '../../protocol/tls-record/aead.ts';
import { FATAL } from '../../protocol/tls-record/alerts.ts';
import type { Hmac } from '../../protocol/tls-record/key-schedule.ts';
import { RecordOpener, recordBytes } from '../../protocol/tls-record/open.ts';
import { RecordSealer } from '../../protocol/tls-record/seal.ts';
import { readSnapshot, writeSnapshot } from '../../protocol/tls-record/snapshot.ts';
import {
  CLOSE_READ,
  CLOSE_SENT,
  MAX_RECORD_BYTES,
  MIN_FRAGMENT_LIMIT,
  PEER_ALERT,
  RecordState,
  STATE_BYTES,
} from '../../protocol/tls-record/state.ts';
import type { EvpAead } from './evp.ts';
import { EAGAIN, EINTR, EPROTO, type Libc, MSG_DONTWAIT, MSG_NOSIGNAL, type Pinned } from './libc.ts';
import { ENDING, type SocketFlags, type SocketStates } from './socket-state.ts';
import type { SocketTable } from './socket-table.ts';

/**
 * TLS connections whose records are our own, by fd. A connection is 256 bytes of state in a slab, and nothing else while it is idle; a
 * record that has come in part, and records that the kernel did not take, are kept beside it as long as they are.
 *
 * `describe` gives a connection as bytes, `attach` goes on with it, in this process or in another one: that is how a hand-over
 * carries TLS. What waits to be sent on the connection goes along, in order, and is offered to `write` again.
 */

/** States in one piece of memory. */
const SLAB_STATES = 256;
/** Plaintext that is sealed before it is sent: what the kernel does not take then is kept sealed. */
const BATCH_BYTES = 16_384;
/** Room for a batch in the smallest records. */
const OUT_BYTES = BATCH_BYTES + 64 * (BATCH_BYTES / MIN_FRAGMENT_LIMIT);

/** The beginning of a record. */
interface Partial {
  bytes: Buffer;
  length: number;
}

/** Records that the kernel did not take. */
interface Unsent {
  bytes: Buffer;
  /** Data in them, which is offered again. */
  data: number;
}

const NOTHING = Buffer.alloc(0);

export class TlsRecords {
  private readonly libc: Libc;
  private readonly aead: EvpAead;
  private readonly states: SocketStates;
  private readonly flags: SocketFlags;
  /** The place of each fd's state in the slabs, plus one; 0: it has none. */
  private readonly places: Int32Array;
  private readonly slabs: Pinned[] = [];
  private readonly freePlaces: number[] = [];
  private readonly partials = new Map<number, Partial>();
  /** What came with the handshake, or before a hand-over, and was not looked at. */
  private readonly unread = new Map<number, Buffer>();
  private readonly unsents = new Map<number, Unsent>();
  private readonly state = new RecordState();
  private readonly awaitRoom: (fd: number) => void;
  private readonly sealer: RecordSealer;
  private readonly opener: RecordOpener;
  private readonly input: Pinned;
  private readonly out: Pinned;

  /** @param readBytes most that one read takes; what `read` writes is never more than that, or one record */
  constructor(
    libc: Libc,
    table: SocketTable,
    aead: EvpAead,
    hmac: Hmac,
    readBytes: number,
    awaitRoom: (fd: number) => void,
  ) {
    this.awaitRoom = awaitRoom;
    this.libc = libc;
    this.aead = aead;
    this.states = table.states;
    this.flags = table.flags;
    this.places = new Int32Array(table.capacity);
    this.sealer = new RecordSealer(aead, hmac, libc.pin(8));
    this.opener = new RecordOpener(aead, hmac);
    this.input = libc.pin(Math.max(readBytes, MAX_RECORD_BYTES));
    this.out = libc.pin(OUT_BYTES);
  }

  /** Whether the ciphers of this machine's OpenSSL are enough for this one. */
  readonly supports = (cipher: number): boolean => this.aead.supports(cipher);

  has(fd: number): boolean {
    return this.places[fd] !== 0;
  }

  /** A place for the state of this fd, of zeros, to be filled before anything is read or written. */
  begin(fd: number): void {
    if (this.freePlaces.length === 0) this.grow();
    this.places[fd] = 1 + (this.freePlaces.pop() as number);
  }

  private grow(): void {
    const first = this.slabs.length * SLAB_STATES;
    this.slabs.push(this.libc.pin(SLAB_STATES * STATE_BYTES));
    for (let i = SLAB_STATES - 1; i >= 0; i--) this.freePlaces.push(first + i);
  }

  /** Until the next call of any method. */
  of(fd: number): RecordState {
    const place = (this.places[fd] as number) - 1;
    const slab = this.slabs[Math.floor(place / SLAB_STATES)] as Pinned;
    return this.state.use(slab, (place % SLAB_STATES) * STATE_BYTES);
  }

  /** Forgets the connection, and wipes its keys. */
  free(fd: number): void {
    const state = this.of(fd);
    if (state.cipherNumber !== 0) this.aead.wipe(state.cipherNumber);
    state.wipe();
    this.freePlaces.push((this.places[fd] as number) - 1);
    this.places[fd] = 0;
    this.partials.delete(fd);
    this.unread.delete(fd);
    this.unsents.delete(fd);
  }

  /** The connection as bytes, which hold its keys (`protocol/tls-record/snapshot.ts`). It stays here, and must not be used where they are. */
  describe(fd: number): Buffer {
    const state = Buffer.alloc(STATE_BYTES);
    this.of(fd).copyTo(state, 0);
    const partial = this.partials.get(fd);
    const unsent = this.unsents.get(fd);
    const bytes = writeSnapshot({
      state,
      unread: partial?.bytes.subarray(0, partial.length) ?? this.unread.get(fd) ?? NOTHING,
      unsent: unsent?.bytes ?? NOTHING,
      unsentData: unsent?.data ?? 0,
    });
    state.fill(0);
    return bytes;
  }

  /** Goes on with a connection that was detached. False where these bytes are none that can be gone on with here. */
  attach(fd: number, bytes: Uint8Array): boolean {
    const snapshot = readSnapshot(bytes);
    if (snapshot === undefined || !this.aead.supports(snapshot.state[1] as number)) return false;
    const { state, unread, unsent, unsentData } = snapshot;
    this.begin(fd);
    this.of(fd).copyFrom(state);
    this.receive(fd, unread);
    if (unsent.length > 0 || unsentData > 0)
      this.unsents.set(fd, { bytes: Buffer.from(unsent), data: unsentData });
    return true;
  }

  // ---- reading

  /** Has `read` begin with bytes that came before, fewer than `MAX_RECORD_BYTES`. */
  receive(fd: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.unread.set(fd, Buffer.from(bytes));
  }

  /** As recv(2): data in `to`, 0 for the end of it, -EPROTO where the peer breaks TLS, of which it was told. */
  read(fd: number, to: Pinned): number {
    const state = this.of(fd);
    if (this.unsents.size > 0) this.flush(fd);
    if (this.unread.size > 0) {
      const data = this.takeUnread(fd, state, to);
      if (data > 0) return data;
    }
    for (;;) {
      if (state.fault !== 0) return this.failed(fd, state);
      if (state.has(CLOSE_READ)) return 0;
      const partial = this.partials.get(fd);
      const have = partial?.length ?? 0;
      const room = this.input.bytes.length - have;
      const got = this.recv(fd, have, room);
      if (got <= 0) return got;
      const isDry = got < room && ((this.flags[fd] as number) & ENDING) === 0;
      const data = this.take(fd, state, partial, have, have + got, to);
      if (data > 0) {
        // A short read has emptied the socket (epoll(7)); an end that was read with it is told next.
        if (isDry && state.isReadable) this.states.readDry(fd);
        return data;
      }
      if (isDry && state.isReadable) return -EAGAIN;
    }
  }

  private takeUnread(fd: number, state: RecordState, to: Pinned): number {
    const bytes = this.unread.get(fd);
    if (bytes === undefined) return 0;
    this.unread.delete(fd);
    this.input.bytes.set(bytes);
    return this.take(fd, state, undefined, 0, bytes.length, to);
  }

  private recv(fd: number, at: number, room: number): number {
    let got: number;
    do got = this.libc.recv(fd, this.input.address + at, room, MSG_DONTWAIT);
    while (got === -EINTR);
    return got;
  }

  /** Opens what has come. The input holds the new bytes from `have` on; before them goes what came in part. */
  private take(
    fd: number,
    state: RecordState,
    partial: Partial | undefined,
    have: number,
    end: number,
    to: Pinned,
  ): number {
    const { input, opener } = this;
    if (partial !== undefined) {
      partial.bytes.copy(input.bytes, 0, 0, Math.min(have, HEADER_BYTES));
      const size = recordBytes(state, input.bytes, 0, end);
      if (state.fault === 0 && (size === 0 || size > end)) {
        append(partial, input.bytes, have, end); // only what is new is copied, however small the pieces are
        return 0;
      }
      partial.bytes.copy(input.bytes, 0, 0, have);
      this.partials.delete(fd);
    }
    const data = opener.open(state, input, end, to);
    if (opener.consumed < end) this.keepPart(fd, opener.consumed, end);
    if (this.sealer.owes(state)) this.answer(fd, state);
    return data;
  }

  private keepPart(fd: number, start: number, end: number): void {
    const partial = { bytes: NOTHING, length: 0 };
    append(partial, this.input.bytes, start, end);
    this.partials.set(fd, partial);
  }

  /** Says what is owed, unless something waits before it; then it goes with the next data. */
  private answer(fd: number, state: RecordState): void {
    if (this.unsents.has(fd) || state.has(CLOSE_SENT)) return;
    this.send(fd, this.sealer.owed(state, this.out, 0), 0);
  }

  private failed(fd: number, state: RecordState): number {
    if (state.fault !== PEER_ALERT && !state.has(CLOSE_SENT) && !this.unsents.has(fd))
      this.send(fd, this.sealer.alert(state, FATAL, state.fault, this.out, 0), 0);
    return -EPROTO;
  }

  // ---- writing

  /** As send(2). What it did not take must be offered again, and first. */
  write(fd: number, address: number, length: number): number {
    const state = this.of(fd);
    let done = 0;
    if (this.unsents.size > 0) {
      const flushed = this.flush(fd);
      if (flushed < 0) return flushed;
      done = this.takeCredit(fd, length);
    }
    while (done < length) {
      const batch = Math.min(BATCH_BYTES, length - done);
      const end = this.sealer.data(state, address + done, batch, this.out, 0);
      if (state.fault !== 0) return done > 0 ? done : -EPROTO;
      const sent = this.send(fd, end, batch);
      if (sent < 0) return done > 0 ? done : sent;
      done += batch;
    }
    return done;
  }

  /** Data that was sealed, and kept, by an earlier call. */
  private takeCredit(fd: number, length: number): number {
    const unsent = this.unsents.get(fd);
    if (unsent === undefined) return 0;
    const taken = Math.min(unsent.data, length);
    unsent.data -= taken;
    if (unsent.data === 0) this.unsents.delete(fd);
    return taken;
  }

  /** Says that nothing more will be sent. False where that must wait for room. */
  closeNotify(fd: number): boolean {
    const state = this.of(fd);
    const flushed = this.flush(fd);
    if (flushed < 0) return flushed !== -EAGAIN;
    if (state.has(CLOSE_SENT)) return true;
    return this.send(fd, this.sealer.closeNotify(state, this.out, 0), 0) !== -EAGAIN;
  }

  /** Sends the output, and keeps what the kernel does not take. 0, or a negative errno: -EAGAIN where something is kept. */
  private send(fd: number, end: number, data: number): number {
    const sent = this.transmit(fd, this.out.address, end);
    if (sent === end) return 0;
    if (sent < 0 && sent !== -EAGAIN) return sent;
    this.unsents.set(fd, { bytes: Buffer.from(this.out.bytes.subarray(Math.max(0, sent), end)), data });
    if (data === 0) this.awaitRoom(fd); // nothing of the connection waits, so nothing else has it tried again
    return -EAGAIN;
  }

  private transmit(fd: number, address: number, length: number): number {
    let sent: number;
    do sent = this.libc.send(fd, address, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent === -EINTR);
    return sent;
  }

  /** Sends what was kept. 0, or a negative errno: -EAGAIN where some is left. */
  private flush(fd: number): number {
    const unsent = this.unsents.get(fd);
    if (unsent === undefined) return 0;
    const { bytes } = unsent;
    bytes.copy(this.out.bytes);
    const sent = bytes.length === 0 ? 0 : this.transmit(fd, this.out.address, bytes.length);
    if (sent > 0) unsent.bytes = bytes.subarray(sent);
    if (sent === bytes.length) {
      if (unsent.data === 0) this.unsents.delete(fd);
      return 0;
    }
    if (sent < 0 && sent !== -EAGAIN) return sent;
    if (unsent.data === 0) this.awaitRoom(fd);
    return -EAGAIN;
  }

  /** Wipes all keys. */
  close(): void {
    for (const { bytes } of this.slabs) bytes.fill(0);
    this.aead.close();
  }
}

/** The memory grows with what has come, not with what was announced. */
function append(partial: Partial, from: Buffer, start: number, end: number): void {
  const length = partial.length + end - start;
  if (length > partial.bytes.length) {
    const grown = Buffer.allocUnsafeSlow(Math.min(MAX_RECORD_BYTES, Math.max(64, 2 * length)));
    partial.bytes.copy(grown, 0, 0, partial.length);
    partial.bytes = grown;
  }
  copyBytes(from, start, end, partial.bytes, partial.length);
  partial.length = length;
}
