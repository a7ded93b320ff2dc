/** A hash table over the slots of a table of packets in flight. */

const FIRST_SLOTS = 64;
const FIRST_BUCKETS = 64;
/** A larger index is freed when it is empty. */
const KEPT_BUCKETS = 256;

/**
 * Finds slots by their keys, of at most 18 bits: a hash table with chains. Several slots may have one key, because a
 * peer that breaks the standard uses a packet id twice: the oldest of them is found.
 *
 * A bucket holds the youngest slot of each of its keys. Those of one key form a ring, in which the oldest follows the
 * youngest. There are at most 2^18 / buckets keys to a bucket and no more slots than buckets, so whoever chooses keys
 * to collide makes a chain of 512 at the most.
 */
export class IdIndex {
  private buckets = new Uint16Array(FIRST_BUCKETS);
  private keys = new Uint32Array(FIRST_SLOTS);
  /** By slot: the next one in the bucket. Of the youngest of each key only. */
  private chain = new Uint16Array(FIRST_SLOTS);
  /** By slot: the next younger one with the same key; of the youngest, the oldest. */
  private ring = new Uint16Array(FIRST_SLOTS);
  private count = 0;

  /** The oldest slot with this key, or 0. */
  find(key: number): number {
    const { buckets, keys, chain } = this;
    let young = buckets[key & (buckets.length - 1)] as number;
    while (young !== 0 && keys[young] !== key) young = chain[young] as number;
    return this.ring[young] as number; // of slot 0: 0
  }

  /** The slot becomes the youngest with this key. */
  add(key: number, slot: number): void {
    if (slot >= this.keys.length) this.makeRoom(slot);
    if (++this.count > this.buckets.length) this.rehash(this.buckets.length * 2);
    const { buckets, keys, chain, ring } = this;
    const bucket = key & (buckets.length - 1);
    let before = 0;
    let young = buckets[bucket] as number;
    while (young !== 0 && keys[young] !== key) {
      before = young;
      young = chain[young] as number;
    }
    keys[slot] = key;
    chain[slot] = chain[young] as number; // of slot 0: 0
    ring[slot] = young === 0 ? slot : (ring[young] as number);
    if (young !== 0) ring[young] = slot;
    if (before === 0) buckets[bucket] = slot;
    else chain[before] = slot;
  }

  /** Removes the slot, which must be there under this key. Quick where it is the oldest. */
  remove(key: number, slot: number): void {
    const { buckets, keys, chain, ring } = this;
    const bucket = key & (buckets.length - 1);
    let before = 0;
    let young = buckets[bucket] as number;
    while (keys[young] !== key) {
      before = young;
      young = chain[young] as number;
    }
    let older = young;
    while (ring[older] !== slot) older = ring[older] as number;
    ring[older] = ring[slot] as number;
    this.count--;
    if (slot !== young) return;
    let heir = chain[young] as number;
    if (older !== slot) {
      chain[older] = heir;
      heir = older;
    }
    if (before === 0) buckets[bucket] = heir;
    else chain[before] = heir;
  }

  clear(): void {
    this.count = 0;
    if (this.buckets.length <= KEPT_BUCKETS) this.buckets.fill(0);
    else this.buckets = new Uint16Array(FIRST_BUCKETS);
    if (this.keys.length > KEPT_BUCKETS) this.resize(FIRST_SLOTS);
  }

  private makeRoom(slot: number): void {
    const { keys, chain, ring } = this;
    let capacity = keys.length;
    while (capacity <= slot) capacity *= 2;
    this.resize(capacity);
    this.keys.set(keys);
    this.chain.set(chain);
    this.ring.set(ring);
  }

  private resize(capacity: number): void {
    this.keys = new Uint32Array(capacity);
    this.chain = new Uint16Array(capacity);
    this.ring = new Uint16Array(capacity);
  }

  private rehash(size: number): void {
    const { buckets, keys, chain } = this;
    const grown = new Uint16Array(size);
    for (const first of buckets) {
      let young: number = first;
      while (young !== 0) {
        const next = chain[young] as number;
        const bucket = (keys[young] as number) & (size - 1);
        chain[young] = grown[bucket] as number;
        grown[bucket] = young;
        young = next;
      }
    }
    this.buckets = grown;
  }
}
