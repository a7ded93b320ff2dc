/** Topic aliases of MQTT 5.0 over a change of node. */

import { copyOf } from './encode.ts';
import type { HandedAliases } from './handed.ts';

interface Alias {
  topic: Uint8Array;
  /** Does the other side know it? */
  established: boolean;
}

/** Bytes that an alias takes besides its topic: its place in the map, and the objects that hold it. */
const ALIAS_BYTES = 300;

/**
 * Topic aliases of one side. The device keeps using its own, although each new link begins without any
 * [MQTT-3.3.2-7]. An alias of the node may have been set in a message that the device did not get.
 */
export class Aliases {
  private readonly byNumber = new Map<number, Alias>();
  /** Bytes that they may take at most. */
  bytes = 0;

  set(number: number, topic: Uint8Array, established: boolean): void {
    const before = this.byNumber.get(number);
    this.bytes += topic.length - (before === undefined ? -ALIAS_BYTES : before.topic.length);
    this.byNumber.set(number, { topic, established });
  }

  get(number: number): Alias | undefined {
    return this.byNumber.get(number);
  }

  establish(number: number): void {
    const alias = this.byNumber.get(number);
    if (alias !== undefined) alias.established = true;
  }

  /** For another process. */
  describe(): HandedAliases {
    return Array.from(this.byNumber, ([number, { topic, established }]) => {
      return { number, topic: copyOf(topic, 0, topic.length), established };
    });
  }

  static revive(handed: HandedAliases): Aliases {
    const aliases = new Aliases();
    for (const { number, topic, established } of handed) aliases.set(number, topic, established);
    return aliases;
  }

  /** A new link knows none. */
  linkLost(): void {
    for (const alias of this.byNumber.values()) alias.established = false;
  }
}
