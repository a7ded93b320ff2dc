/** Bytes that are kept one behind another, in memory that grows with them. Its owner bounds them. */
export class KeptBytes {
  bytes: Uint8Array;
  length = 0;

  /** `capacity` is a first guess. */
  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      let capacity = this.bytes.length;
      while (capacity < length) capacity *= 2;
      const grown = new Uint8Array(capacity);
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = length;
  }
}
