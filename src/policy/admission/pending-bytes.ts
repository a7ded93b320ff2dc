/** A connection whose bytes are kept before its device is known. */
export interface PendingHolder {
  /** Frees everything that it keeps, and ends; its bytes are not counted any longer. */
  giveWay(): void;
}

/** So many bytes of each are not counted: nearly every CONNECT is smaller. The number of connections bounds them. */
export const FREE_BYTES = 4096;

/**
 * A bound on what one thread keeps for devices that no node has accepted yet. Whoever sends much more than a CONNECT
 * usually has counts; where all of them together are too much, the largest gives way, so that many who keep little are
 * not ended for one that keeps much.
 */
export class PendingBytes {
  max: number;
  private total = 0;
  private readonly counted = new Map<PendingHolder, number>();
  /** By the magnitude of what they keep: the last that is not empty has the largest, within a factor of two. */
  private readonly byMagnitude: Set<PendingHolder>[] = [];

  private readonly freeBytes: number;

  /** @param max bytes */
  constructor(max: number, freeBytes = FREE_BYTES) {
    this.max = max;
    this.freeBytes = freeBytes;
  }

  /** This one keeps so many bytes by now; 0: none any more. It may have to give way itself. */
  set(holder: PendingHolder, bytes: number): void {
    const counts = Math.max(0, bytes - this.freeBytes);
    const before = this.counted.get(holder) ?? 0;
    if (counts === before) return;
    if (before > 0) this.byMagnitude[magnitudeOf(before)]?.delete(holder);
    this.total += counts - before;
    if (counts === 0) {
      this.counted.delete(holder);
      return;
    }
    this.counted.set(holder, counts);
    this.ofMagnitude(magnitudeOf(counts)).add(holder);
    while (this.total > this.max) {
      const largest = this.largest();
      if (largest === undefined) return;
      this.set(largest, 0);
      largest.giveWay();
    }
  }

  private ofMagnitude(magnitude: number): Set<PendingHolder> {
    while (this.byMagnitude.length <= magnitude) this.byMagnitude.push(new Set());
    return this.byMagnitude[magnitude] as Set<PendingHolder>;
  }

  private largest(): PendingHolder | undefined {
    for (let magnitude = this.byMagnitude.length - 1; magnitude >= 0; magnitude--) {
      const [first] = this.byMagnitude[magnitude] ?? [];
      if (first !== undefined) return first;
    }
    return undefined;
  }
}

function magnitudeOf(bytes: number): number {
  return 31 - Math.clz32(bytes);
}
