import { isIP } from 'node:net';
import type { Target } from '../connection/wire.ts';

/**
 * The same candidates, each to be dialled from the device's own address. A node of the other family is none of them: no
 * connection to it can bear that address.
 */
export function* transparent(
  candidates: Iterator<Target, undefined>,
  deviceAddress: string,
): Generator<Target, undefined> {
  const family = isIP(deviceAddress);
  for (let next = candidates.next(); !next.done; next = candidates.next()) {
    const { host, addresses } = next.value;
    if (!(addresses?.hosts ?? [host]).some((at) => isIP(at) === family)) continue;
    yield { ...next.value, sourceAddress: deviceAddress, isTransparent: true };
  }
  return undefined;
}
