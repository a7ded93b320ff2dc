/** Bytes that are kept one behind another, in [start, end) of memory that grows with them. Its owner bounds them. */
export class KeptBytes {
  bytes: Uint8Array;
  start = 0;
  end = 0;

  /** `capacity` is a first guess. */
  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.end - this.start;
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    if (this.end + end - start > this.bytes.length) this.makeRoom(end - start);
    this.bytes.set(bytes.subarray(start, end), this.end);
    this.end += end - start;
  }

  /** The bytes before this offset are not needed any more. */
  takenTo(offset: number): void {
    this.start = offset;
  }

  /** Moves what is kept to the front, where that leaves half of the memory free, or to the front of larger memory. */
  private makeRoom(more: number): void {
    const kept = this.bytes.subarray(this.start, this.end);
    const needed = (kept.length + more) * (this.start > 0 ? 2 : 1);
    let capacity = this.bytes.length;
    while (capacity < needed) capacity *= 2;
    const to = capacity === this.bytes.length ? this.bytes : new Uint8Array(capacity);
    to.set(kept);
    this.bytes = to;
    this.end = kept.length;
    this.start = 0;
  }
}
