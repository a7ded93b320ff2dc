/**
 * Objects that sessions reuse one after another. Most sessions have nothing in flight most of the time. Keeping
 * room for it in each would cost more than everything else that is remembered of them, and making it for every
 * message would cost time.
 */
export class ObjectPool<T extends { clear(): void }> {
  private readonly pieces: T[] = [];
  private readonly make: () => T;
  private readonly most: number;

  /** Keeps at most `most` unused objects of `make`. */
  constructor(make: () => T, most: number) {
    this.make = make;
    this.most = most;
  }

  take(): T {
    return this.pieces.pop() ?? this.make();
  }

  give(piece: T): void {
    piece.clear();
    if (this.pieces.length < this.most) this.pieces.push(piece);
  }
}
