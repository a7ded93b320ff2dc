import { copyBytes } from '../base/bytes.ts';
import type { SessionOutput } from './events.ts';

/** Up to so many bytes are copied, to leave together with what goes before and behind them. */
const JOINED_BYTES = 512;
/** At most so many bytes leave together. */
const STAGE_BYTES = 16_384;
/** At most so many packets are held back; only a node that redelivers without an end would need more. */
const MOST_HELD_BACK = 4096;

/** Packets of our own that must not fall into the middle of one that streams to the same side; undefined while none does. */
export interface HeldBack {
  node: Uint8Array[] | undefined;
  device: Uint8Array[] | undefined;
}

/** Whose bytes they are. */
export interface Speaker {
  readonly output: SessionOutput;
  readonly rare: { readonly heldBack: HeldBack | undefined };
  /** The same, to be changed. */
  needRare(): { heldBack: HeldBack | undefined };
  /** More was held back than may be. */
  heldTooMuch(side: 'node' | 'device'): void;
}

/**
 * Writes packets to one side. Packets that are passed on one behind another leave as one run, straight from the
 * buffer that they arrived in. Where packets of our own come between them, they leave together with the runs around
 * them, so that many small ones do not cost a system call each.
 *
 * A run never outlasts a call of its session, so that one writer serves all sessions of a worker.
 */
export class PacketWriter {
  private readonly side: 'node' | 'device';
  private speaker: Speaker | undefined;
  private bytes: Uint8Array | undefined;
  private start = 0;
  private end = 0;
  /** What goes before the run. */
  private readonly stage = Buffer.allocUnsafeSlow(STAGE_BYTES);
  private staged = 0;

  constructor(side: 'node' | 'device') {
    this.side = side;
  }

  /** What a failed call has left of another session's run is sent to nobody. */
  of(speaker: Speaker): this {
    if (speaker !== this.speaker) {
      this.speaker = speaker;
      this.bytes = undefined;
      this.staged = 0;
    }
    return this;
  }

  /** Joins the run when the piece follows it. The buffer must stay as it is until `flush`. */
  pass(bytes: Uint8Array, start: number, end: number): void {
    if (bytes === this.bytes && start === this.end) {
      this.end = end;
      return;
    }
    this.joinRun();
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** What was passed on or written last is the first piece of a packet. */
  open(): void {
    this.holdBack([]);
  }

  /** A further piece of it; the next may come much later. */
  stream(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.pass(bytes, start, end);
    if (!last) return;
    const waiting = this.heldBack;
    this.abort();
    for (const packet of waiting ?? []) this.write(packet);
  }

  /** Drops what was streaming or waiting: the other end is gone. */
  abort(): void {
    if (this.heldBack !== undefined) this.holdBack(undefined);
  }

  write(packet: Uint8Array): void {
    const waiting = this.heldBack;
    if (waiting !== undefined) {
      if (waiting.push(packet) === MOST_HELD_BACK) this.speaker?.heldTooMuch(this.side);
      return;
    }
    this.joinRun();
    this.join(packet, 0, packet.length);
  }

  flush(): void {
    const { bytes, start, end } = this;
    if (this.staged > 0) {
      this.joinRun();
      this.emitStaged();
    } else if (bytes !== undefined) {
      this.bytes = undefined;
      this.emit(bytes, start, end);
    }
  }

  /** Something else follows the run: it joins what waits to be sent. */
  private joinRun(): void {
    const { bytes, start, end } = this;
    if (bytes === undefined) return;
    this.bytes = undefined;
    this.join(bytes, start, end);
  }

  private join(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > JOINED_BYTES || this.staged + length > STAGE_BYTES) this.emitStaged();
    if (length > JOINED_BYTES) return this.emit(bytes, start, end);
    copyBytes(bytes, start, end, this.stage, this.staged);
    this.staged += length;
  }

  private emitStaged(): void {
    const length = this.staged;
    this.staged = 0;
    if (length > 0) this.emit(this.stage, 0, length);
  }

  private get heldBack(): Uint8Array[] | undefined {
    return this.speaker?.rare.heldBack?.[this.side];
  }

  private holdBack(packets: Uint8Array[] | undefined): void {
    if (this.speaker === undefined) return;
    const rare = this.speaker.needRare();
    rare.heldBack ??= { node: undefined, device: undefined };
    rare.heldBack[this.side] = packets;
  }

  private emit(bytes: Uint8Array, start: number, end: number): void {
    if (this.side === 'node') this.speaker?.output.toNode(bytes, start, end);
    else this.speaker?.output.toDevice(bytes, start, end);
  }
}
