/**
 * The addresses of one node, which are one broker: a name may have one of each IP family while the broker listens at one
 * only. Whichever answered last is dialled first.
 */
export class NodeAddresses {
  /** IP literals, at least one. */
  readonly hosts: readonly string[];
  private first = 0;

  constructor(hosts: readonly string[]) {
    this.hosts = hosts;
  }

  /** Begins one dial, in which every address is tried once. */
  walk(): AddressWalk {
    return new AddressWalk(this, this.first);
  }

  /** The addresses in the order in which a dial would try them. */
  inTurn(): string[] {
    return [...this.hosts.slice(this.first), ...this.hosts.slice(0, this.first)];
  }

  /** This address has answered. */
  reached(host: string): void {
    const at = this.hosts.indexOf(host);
    if (at >= 0) this.prefer(at);
  }

  /** @param at index of the address that answered, or that is to be tried first from now on */
  prefer(at: number): void {
    this.first = at % this.hosts.length;
  }

  isFirst(at: number): boolean {
    return at === this.first;
  }
}

/** How one dial goes through the addresses of a node. */
export class AddressWalk {
  private readonly addresses: NodeAddresses;
  private readonly start: number;
  private turn = -1;

  constructor(addresses: NodeAddresses, start: number) {
    this.addresses = addresses;
    this.start = start;
  }

  /** The first address, and then each time the next, because the one before did not answer; undefined behind the last. */
  next(): string | undefined {
    if (this.turn >= 0) this.failed();
    if (this.isLast) return undefined;
    this.turn++;
    return this.addresses.hosts[this.at];
  }

  /** Does no address follow the present one? */
  get isLast(): boolean {
    return this.turn + 1 >= this.addresses.hosts.length;
  }

  /** The present address answered. */
  reached(): void {
    this.addresses.prefer(this.at);
  }

  /** The present address did not answer: the next dial begins with another. */
  failed(): void {
    if (this.addresses.isFirst(this.at)) this.addresses.prefer(this.at + 1);
  }

  private get at(): number {
    return (this.start + this.turn) % this.addresses.hosts.length;
  }
}
