/** Keeps the bytes that were received and that nobody has read yet, for each socket, in order. */

interface Kept {
  readonly bytes: Buffer;
  start: number;
}

/** Bytes by fd: those that were handed over with a socket, and those that must not stay where the kernel has put them. */
export class Inbox {
  /** What `take` has got is here from `start` on. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  private readonly kept = new Map<number, Kept>();

  /** Something is kept for it. */
  has(fd: number): boolean {
    return this.kept.size > 0 && this.kept.has(fd);
  }

  /** Copies pieces behind what is kept already. */
  keep(fd: number, pieces: readonly Uint8Array[]): void {
    const bytes = Buffer.concat([this.copy(fd), ...pieces]);
    if (bytes.length > 0) this.kept.set(fd, { bytes, start: 0 });
  }

  /** Takes the next bytes of a socket that has some, `most` at most. How many there are. */
  take(fd: number, most: number): number {
    const kept = this.kept.get(fd) as Kept;
    const { bytes, start } = kept;
    const got = Math.min(bytes.length - start, most);
    kept.start += got;
    if (kept.start === bytes.length) this.kept.delete(fd);
    this.bytes = bytes;
    this.start = start;
    return got;
  }

  /** A copy of what is kept, first to last. */
  copy(fd: number): Uint8Array {
    const kept = this.kept.get(fd);
    return kept === undefined ? new Uint8Array(0) : Uint8Array.prototype.slice.call(kept.bytes, kept.start);
  }

  clear(fd: number): void {
    if (this.kept.size > 0) this.kept.delete(fd);
  }
}
