/** Memory for credentials that can be overwritten when they are not needed. */

import { copyOf } from './encode.ts';

const SMALLEST = 64;
const CLASSES = 23; // the last holds 256 MB, which no MQTT packet exceeds
const SLAB_BYTES = 65_536;
/** Bytes in front of a secret for its length. */
const HEADER = 4;

interface SizeClass {
  readonly slotBytes: number;
  readonly slabs: (Uint8Array | undefined)[];
  /** Slots that were used and are free again. */
  readonly free: number[];
  used: number;
}

/** Names a record; meaningless once it is erased. */
export type Handle = number;

/**
 * Keeps small secrets: the CONNECT packets of all sessions of a thread, which hold credentials. In slabs with slots of a
 * few sizes, because a typed array for each would cost several times its content; and so that a secret is in one place
 * of known address, which `erase` overwrites (rule 17). Slabs are used again; those of one slot are given back.
 */
export class SecretArena {
  private readonly classes: SizeClass[] = Array.from({ length: CLASSES }, (_, i) => ({
    slotBytes: SMALLEST << i,
    slabs: [],
    free: [],
    used: 0,
  }));

  /** A copy is kept until `erase`, which must come once. */
  keep(bytes: Uint8Array): Handle {
    const index = this.classes.findIndex(({ slotBytes }) => slotBytes >= HEADER + bytes.length);
    const size = this.classes[index] as SizeClass;
    const slot = size.free.pop() ?? size.used++;
    const { slab, at } = place(size, slot);
    new DataView(slab.buffer).setUint32(at, bytes.length);
    slab.set(bytes, at + HEADER);
    return slot * CLASSES + index;
  }

  /** A copy, to be used at once and not kept. */
  read(handle: Handle): Uint8Array {
    const { slab, at } = place(this.classes[handle % CLASSES] as SizeClass, Math.floor(handle / CLASSES));
    const length = new DataView(slab.buffer).getUint32(at);
    return copyOf(slab, at + HEADER, at + HEADER + length);
  }

  erase(handle: Handle): void {
    const size = this.classes[handle % CLASSES] as SizeClass;
    const slot = Math.floor(handle / CLASSES);
    const { slab, at } = place(size, slot);
    slab.fill(0, at, at + size.slotBytes);
    if (slab.length === size.slotBytes) size.slabs[slot] = undefined;
    size.free.push(slot);
  }
}

function place(size: SizeClass, slot: number): { slab: Uint8Array; at: number } {
  const perSlab = Math.max(1, SLAB_BYTES / size.slotBytes);
  const index = Math.floor(slot / perSlab);
  const slab = size.slabs[index] ?? new Uint8Array(perSlab * size.slotBytes);
  size.slabs[index] = slab;
  return { slab, at: (slot % perSlab) * size.slotBytes };
}
