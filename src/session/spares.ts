/**
 * Small pieces of memory that sessions hand to one another. Most sessions have nothing in flight most of the time, and
 * keeping a piece each would cost more than all else that is remembered of them; making a new one for every message
 * would cost time.
 */
export class Spares<T extends Uint8Array | Uint32Array> {
  private readonly pieces: T[] = [];
  private readonly make: () => T;
  private readonly length: number;
  private readonly most: number;

  /** Keeps at most `most` pieces of what `make` makes. */
  constructor(make: () => T, most: number) {
    this.make = make;
    this.length = make().length;
    this.most = most;
  }

  take(): T {
    return this.pieces.pop() ?? this.make();
  }

  /** Takes a piece back, overwritten; one of another size is let go. */
  give(piece: T): void {
    if (piece.length !== this.length || this.pieces.length >= this.most) return;
    piece.fill(0);
    this.pieces.push(piece);
  }
}
