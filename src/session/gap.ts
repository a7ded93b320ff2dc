const FIRST_CAPACITY = 256;

/** Whole packets that the device sent while no node had its session, one behind another, in order. */
export class Gap {
  bytes = new Uint8Array(FIRST_CAPACITY);
  length = 0;

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
