/** Words of one entry: three for its owner; then the previous and the next slot, 16 bits each. */
const WORDS = 4;
const LINKS = 3;
/** So few slots that V8 keeps the table beside the object, and not in memory of its own. */
const FIRST_CAPACITY = 4;
/** A larger table is freed when it is empty. */
const KEPT_CAPACITY = 64;
const MOST = 0xffff;

/**
 * Up to 65,535 entries in the order in which they were added: a doubly linked list in one typed array. Every operation
 * costs the same however many there are. An entry is named by its slot, from 1 on, until it is removed; -1 is none.
 */
export class Slots {
  protected words = new Uint32Array(FIRST_CAPACITY * WORDS);
  /** Slots that have been in use; those that are free again are linked from `freed` on. */
  private used = 0;
  private freed = 0;
  private entries = 0;

  get count(): number {
    return this.entries;
  }

  get isFull(): boolean {
    return this.entries === MOST;
  }

  /** The oldest entry, or -1. */
  first(): number {
    return this.behind(0) || -1;
  }

  /** The entry behind this one, or -1. */
  next(at: number): number {
    return this.behind(at) || -1;
  }

  /** A new entry, the youngest, with these three words. There must be room (`isFull`). */
  protected place(word0: number, word1: number, word2: number): number {
    const at = this.take();
    const base = at * WORDS;
    const { words } = this;
    words[base] = word0;
    words[base + 1] = word1;
    words[base + 2] = word2;
    // Slot 0 is no entry: it closes the ring, before the oldest and behind the youngest.
    const youngest = this.before(0);
    words[base + LINKS] = youngest << 16;
    this.link(youngest, at);
    this.linkBack(0, at);
    this.entries++;
    return at;
  }

  protected drop(at: number): void {
    const before = this.before(at);
    const behind = this.behind(at);
    this.link(before, behind);
    this.linkBack(behind, before);
    this.words[at * WORDS + LINKS] = this.freed;
    this.freed = at;
    this.entries--;
  }

  protected word(at: number, index: 0 | 1 | 2): number {
    return this.words[at * WORDS + index] as number;
  }

  protected setWord(at: number, index: 0 | 1 | 2, value: number): void {
    this.words[at * WORDS + index] = value;
  }

  protected forgetAll(): void {
    this.words[LINKS] = 0;
    this.used = 0;
    this.freed = 0;
    this.entries = 0;
    if (this.words.length > KEPT_CAPACITY * WORDS) this.words = new Uint32Array(FIRST_CAPACITY * WORDS);
  }

  private take(): number {
    const at = this.freed;
    if (at !== 0) {
      this.freed = this.behind(at);
      return at;
    }
    const slot = ++this.used;
    if ((slot + 1) * WORDS > this.words.length) {
      const grown = new Uint32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    return slot;
  }

  private before(at: number): number {
    return (this.words[at * WORDS + LINKS] as number) >>> 16;
  }

  private behind(at: number): number {
    return (this.words[at * WORDS + LINKS] as number) & 0xffff;
  }

  private link(at: number, behind: number): void {
    const i = at * WORDS + LINKS;
    this.words[i] = ((this.words[i] as number) & 0xffff_0000) | behind;
  }

  private linkBack(at: number, before: number): void {
    const i = at * WORDS + LINKS;
    this.words[i] = (before << 16) | ((this.words[i] as number) & 0xffff);
  }
}
