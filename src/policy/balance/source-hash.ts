import { rendezvous } from './rendezvous.ts';
import type { SelectionKey, Strategy } from './strategy.ts';

/** One source address, one node. The port is no part of it: a device that reconnects has a new one. */
export const sourceHash: Strategy = (set) => rendezvous(set, sourceText);

/** The address; a dual-stack listener writes IPv4 as `::ffff:10.0.0.1`, and that is the same device. */
function sourceText({ sourceAddress }: SelectionKey): string {
  return sourceAddress.startsWith('::ffff:') && sourceAddress.includes('.')
    ? sourceAddress.slice(7)
    : sourceAddress;
}
