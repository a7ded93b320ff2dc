import { descriptorsOf, type HandedSockets, withDescriptors } from '../../src/engine/handed-sockets.ts';
import { loadKoffi } from '../../src/engine/linux/koffi.ts';

/** What passing descriptors to another process does, within this one: each gets a duplicate (dup(2)). */

let dup: ((fd: number) => number) | undefined;

export function duplicate(fd: number): number {
  dup ??= loadKoffi().load(null).func('int dup(int fd)') as (fd: number) => number;
  const copy = dup(fd);
  if (copy < 0) throw new Error(`dup(${fd}) failed`);
  return copy;
}

export function duplicated(sockets: HandedSockets): HandedSockets {
  return withDescriptors(structuredClone(sockets), descriptorsOf(sockets).map(duplicate));
}
