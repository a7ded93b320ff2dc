import { isIP } from 'node:net';
import type { Target } from '../connection/wire.ts';

/** A target as it is dialled from the next of several addresses of this machine. */
type Sourced = (target: Target) => Target;

/**
 * Takes the addresses of the node's family, or families, in turn, so that all fill evenly: each has its own ports for one node
 * address. A target's variants are made once, because engines remember what they know of a target.
 */
export function createSources(addresses: readonly string[]): Sourced {
  const variantsOf = new WeakMap<Target, readonly Target[]>();
  let turn = 0;

  function variants(target: Target): readonly Target[] {
    const known = variantsOf.get(target);
    if (known !== undefined) return known;
    const families = new Set((target.addresses?.hosts ?? [target.host]).map(isIP));
    const made = addresses
      .filter((address) => families.has(isIP(address)))
      .map((sourceAddress) => ({ ...target, sourceAddress }));
    variantsOf.set(target, made);
    return made;
  }

  return (target) => {
    const choices = variants(target);
    return choices[turn++ % choices.length] ?? target;
  };
}

/** The same candidates, each from the next address. */
export function* sourced(
  candidates: Iterator<Target, undefined>,
  source: Sourced,
): Generator<Target, undefined> {
  for (let next = candidates.next(); !next.done; next = candidates.next()) yield source(next.value);
  return undefined;
}
