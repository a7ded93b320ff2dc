import type { Libc, Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';

/**
 * Where OpenSSL keeps the traffic secrets of TLS 1.3 in its object of a session (SSL). No function gives them, and its key log, which
 * does, prints them digit by digit, which takes as long as all that records of our own cost besides. So the places are learned:
 * the first handshakes ask for the key log too, and what it says is looked for in the object. They are the same for all
 * sessions of a library. Where they are not found, or two handshakes disagree, the key log stays.
 */

/** Handshakes that must agree before their places count. */
const ENOUGH = 3;
/** More than an object of any version has: what is larger is none that we know. */
const OBJECT_BYTES_MAX = 65_536;
const NOWHERE = -1;

/** What is asked of the C library. */
interface Heap {
  sizeOf(address: number): number;
  copy(to: number, from: number, length: number): void;
}

class Malloc extends NativeLibrary implements Heap {
  /** malloc_usable_size(3). */
  readonly sizeOf: (address: number) => number = this.bind('size_t malloc_usable_size(uintptr_t address)');
}

let loaded: Heap | undefined;

/** Undefined where this C library does not tell the size of an object. */
function loadHeap(): Heap | undefined {
  try {
    loaded ??= new Malloc('malloc_usable_size', []);
  } catch {
    return undefined;
  }
  return loaded;
}

export class SecretPlaces {
  private readonly heap: Heap | undefined;
  private readonly copy: Pinned;
  /** From the beginning of a session whose handshake is done. */
  client = NOWHERE;
  server = NOWHERE;
  private agreed = 0;
  private isHopeless = false;

  constructor(libc: Libc, heap = loadHeap()) {
    this.heap = heap;
    this.copy = libc.pin(OBJECT_BYTES_MAX);
  }

  get areKnown(): boolean {
    return this.agreed >= ENOUGH;
  }

  /** @param session whose handshake is done, and has these secrets */
  learn(session: number, client: Uint8Array, server: Uint8Array): void {
    const { heap, copy } = this;
    if (this.isHopeless || this.areKnown || heap === undefined) return;
    const size = heap.sizeOf(session);
    if (size > OBJECT_BYTES_MAX) return this.giveUp();
    heap.copy(copy.address, session, size);
    const object = copy.bytes.subarray(0, size);
    this.agree(object.indexOf(client), object.indexOf(server));
    object.fill(0);
  }

  private agree(client: number, server: number): void {
    if (this.agreed === 0) {
      this.client = client;
      this.server = server;
    }
    const isFound = client !== NOWHERE && server !== NOWHERE;
    if (isFound && client === this.client && server === this.server) this.agreed++;
    else this.giveUp();
  }

  private giveUp(): void {
    this.isHopeless = true;
    this.agreed = 0;
  }
}
