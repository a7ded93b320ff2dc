/** The last probes of each node, for people: a node that fails now and then shows there before it is unhealthy. */

/** At an interval of five seconds that is three minutes. */
const KEPT = 40;

export interface ProbeResult {
  /** When its verdict came, Unix time in milliseconds. */
  readonly at: number;
  readonly seconds: number;
  /** Such as `ECONNREFUSED`; absent: the node serves. */
  readonly failure?: string | undefined;
}

export class ProbeHistory {
  readonly #byNode = new Map<string, ProbeResult[]>();

  add(nodeId: string, result: ProbeResult): void {
    const results = this.#byNode.get(nodeId) ?? [];
    if (results.length >= KEPT) results.shift();
    results.push(result);
    this.#byNode.set(nodeId, results);
  }

  /** Oldest first. */
  of(nodeId: string): readonly ProbeResult[] {
    return this.#byNode.get(nodeId) ?? [];
  }

  forget(nodeId: string): void {
    this.#byNode.delete(nodeId);
  }
}
