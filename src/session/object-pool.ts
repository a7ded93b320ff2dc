/**
 * What sessions hand to one another. Most sessions have nothing in flight most of the time, and keeping room for it in
 * each would cost more than all else that is remembered of them; making it new for every message would cost time.
 */
export class ObjectPool<T extends { clear(): void }> {
  private readonly pieces: T[] = [];
  private readonly make: () => T;
  private readonly most: number;

  /** Keeps at most `most` pieces of what `make` makes. */
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
