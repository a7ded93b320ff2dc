import { mappingsOf } from './descriptors.ts';
import { loadLibc } from './linux/libc.ts';

/** Gives back the memory that a thread which has ended had mapped. Before its descriptors are closed. */
export function unmapLeft(open: Uint8Array): void {
  const mappings = mappingsOf(open);
  for (let at = 0; at < mappings.length; at += 2) {
    const address = mappings[at] as number;
    if (address !== 0) loadLibc().unmap(address, mappings[at + 1] as number);
  }
  mappings.fill(0);
}
