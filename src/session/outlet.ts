import type { SessionOutput } from './events.ts';

/**
 * The way to one side. Packets that are passed on one behind another leave as one run, straight from the buffer
 * that they arrived in; a packet of our own is written between runs, in its place.
 */
export class Outlet {
  private readonly output: SessionOutput;
  private readonly side: 'node' | 'device';
  private bytes: Uint8Array | undefined;
  private start = 0;
  private end = 0;
  /** Packets of our own that must not fall into the middle of one that streams. */
  private later: Uint8Array[] | undefined;

  constructor(output: SessionOutput, side: 'node' | 'device') {
    this.output = output;
    this.side = side;
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
    if (!last) {
      this.later ??= [];
      return;
    }
    const waiting = this.later;
    this.later = undefined;
    for (const packet of waiting ?? []) this.write(packet);
  }

  /** Nothing of what was streaming or waiting counts any more: the other end is gone. */
  abort(): void {
    this.later = undefined;
  }

  write(packet: Uint8Array): void {
    if (this.later !== undefined) {
      this.later.push(packet);
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

  private emit(bytes: Uint8Array, start: number, end: number): void {
    if (this.side === 'node') this.output.toNode(bytes, start, end);
    else this.output.toDevice(bytes, start, end);
  }
}
