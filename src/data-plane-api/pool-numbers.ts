/**
 * Names of pools to their numbers in the routing table. A number is never another pool's, as long as the process lives:
 * connections of a pool that is gone still hold it, and find their nodes again if the pool comes back.
 */
export class PoolNumbers {
  private readonly numbers = new Map<string, number>();

  of(pool: string): number {
    const known = this.numbers.get(pool);
    if (known !== undefined) return known;
    const number = this.numbers.size;
    this.numbers.set(pool, number);
    return number;
  }

  /** The pools by their numbers; undefined where the pool of that number is not among them. */
  arrange<P extends { readonly name: string }>(pools: readonly P[]): (P | undefined)[] {
    for (const { name } of pools) this.of(name);
    return [...this.numbers.keys()].map((name) => pools.find((pool) => pool.name === name));
  }
}
