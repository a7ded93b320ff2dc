import type { SessionOutput } from './events.ts';

/** Packets of our own that must not fall into the middle of one that streams to the same side; undefined while none does. */
export interface HeldBack {
  node: Uint8Array[] | undefined;
  device: Uint8Array[] | undefined;
}

/** Whose bytes they are. */
export interface Speaker {
  readonly output: SessionOutput;
  /** Made when the first packet streams, which for most sessions is never. */
  heldBack: HeldBack | undefined;
}

/**
 * The way to one side. Packets that are passed on one behind another leave as one run, straight from the buffer
 * that they arrived in; a packet of our own is written between runs, in its place.
 *
 * A run never outlasts a call of its session, so that one outlet serves all sessions of a thread.
 */
export class Outlet {
  private readonly side: 'node' | 'device';
  private speaker: Speaker | undefined;
  private bytes: Uint8Array | undefined;
  private start = 0;
  private end = 0;

  constructor(side: 'node' | 'device') {
    this.side = side;
  }

  /** What a call that failed has left of another speaker's run reaches nobody. */
  of(speaker: Speaker): this {
    if (speaker !== this.speaker) {
      this.speaker = speaker;
      this.bytes = undefined;
    }
    return this;
  }

  /** Joins the run when the piece follows it. The buffer must stay as it is until `flush`. */
  pass(bytes: Uint8Array, start: number, end: number): void {
    if (bytes === this.bytes && start === this.end) {
      this.end = end;
      return;
    }
    this.flush();
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** A piece of a packet of which the next piece may come much later. */
  stream(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.pass(bytes, start, end);
    const waiting = this.heldBack;
    if (!last) {
      if (waiting === undefined) this.holdBack([]);
      return;
    }
    this.abort();
    for (const packet of waiting ?? []) this.write(packet);
  }

  /** Nothing of what was streaming or waiting counts any more: the other end is gone. */
  abort(): void {
    if (this.heldBack !== undefined) this.holdBack(undefined);
  }

  write(packet: Uint8Array): void {
    const waiting = this.heldBack;
    if (waiting !== undefined) {
      waiting.push(packet);
      return;
    }
    this.flush();
    this.emit(packet, 0, packet.length);
  }

  flush(): void {
    if (this.bytes === undefined) return;
    const { bytes, start, end } = this;
    this.bytes = undefined;
    this.emit(bytes, start, end);
  }

  private get heldBack(): Uint8Array[] | undefined {
    return this.speaker?.heldBack?.[this.side];
  }

  private holdBack(packets: Uint8Array[] | undefined): void {
    if (this.speaker === undefined) return;
    this.speaker.heldBack ??= { node: undefined, device: undefined };
    this.speaker.heldBack[this.side] = packets;
  }

  private emit(bytes: Uint8Array, start: number, end: number): void {
    if (this.side === 'node') this.speaker?.output.toNode(bytes, start, end);
    else this.speaker?.output.toDevice(bytes, start, end);
  }
}
