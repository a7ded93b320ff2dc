/** The newest items, at most so many: adding one drops the oldest. */
export class Ring<T> {
  private readonly items: T[] = [];
  private readonly keep: number;
  /** Where the next one goes, once it is full. */
  private at = 0;
  /** The newest of those that are kept no longer. */
  lastDropped: T | undefined;

  constructor(keep: number) {
    this.keep = keep;
  }

  add(item: T): void {
    if (this.items.length < this.keep) this.items.push(item);
    else {
      this.lastDropped = this.items[this.at];
      this.items[this.at] = item;
    }
    this.at = (this.at + 1) % this.keep;
  }

  /** Oldest first. */
  list(): T[] {
    const from = this.items.length < this.keep ? 0 : this.at;
    return [...this.items.slice(from), ...this.items.slice(0, from)];
  }

  /** Newest first, for as long as the caller wants. */
  *newest(): Iterable<T> {
    const { length } = this.items;
    for (let back = 1; back <= length; back++) yield this.items[(this.at - back + length) % length] as T;
  }
}
