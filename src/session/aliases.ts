interface Alias {
  topic: Uint8Array;
  /** Does the node on the link that is up know it? */
  established: boolean;
}

/** The device's topic aliases. It goes on using them over links of which each starts without any [MQTT-3.3.2-7]. */
export class Aliases {
  private readonly byNumber = new Map<number, Alias>();
  bytes = 0;

  set(number: number, topic: Uint8Array, established: boolean): void {
    this.bytes += topic.length - (this.byNumber.get(number)?.topic.length ?? 0);
    this.byNumber.set(number, { topic, established });
  }

  get(number: number): Alias | undefined {
    return this.byNumber.get(number);
  }

  /** A new link knows none. */
  linkLost(): void {
    for (const alias of this.byNumber.values()) alias.established = false;
  }
}
