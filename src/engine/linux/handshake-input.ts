import { EINTR, type Libc, MSG_DONTWAIT, type Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';
import { OPENSSL_3 } from './openssl.ts';

/**
 * What OpenSSL reads a handshake from: memory (BIO_s_mem(3)), into which one system call puts all that has come. From the socket
 * it would read the header and the body of each record by themselves. What comes behind the handshake stays in the memory.
 */

/** Most that one system call takes, and so most that stays. */
export const INPUT_BYTES = 16_384;

type Numbers = (...args: number[]) => number;

class Bio extends NativeLibrary {
  private readonly memoryMethod = this.bind<() => number>('uintptr_t BIO_s_mem()')();
  private readonly create: Numbers = this.bind('uintptr_t BIO_new(uintptr_t method)');
  /** The session frees it. */
  readonly setInput: (ssl: number, bio: number) => void = this.bind(
    'void SSL_set0_rbio(uintptr_t ssl, uintptr_t bio)',
  );
  readonly inputOf: Numbers = this.bind('uintptr_t SSL_get_rbio(uintptr_t ssl)');
  readonly setReadFd: Numbers = this.bind('int SSL_set_rfd(uintptr_t ssl, int fd)');
  readonly setWriteFd: Numbers = this.bind('int SSL_set_wfd(uintptr_t ssl, int fd)');
  readonly pending: Numbers = this.bind('size_t BIO_ctrl_pending(uintptr_t bio)');
  readonly write: Numbers = this.bind('int BIO_write(uintptr_t bio, uintptr_t bytes, int length)');
  readonly read: Numbers = this.bind('int BIO_read(uintptr_t bio, uintptr_t bytes, int length)');

  newMemory(): number {
    return this.create(this.memoryMethod);
  }
}

let loaded: Bio | undefined;

/** @throws Error where this OpenSSL lacks one of them */
export function loadBio(): Bio {
  loaded ??= new Bio(...OPENSSL_3);
  return loaded;
}

export class HandshakeInput {
  private readonly libc: Libc;
  private readonly bio: Bio;
  private readonly memory: Pinned;

  constructor(libc: Libc) {
    this.libc = libc;
    this.bio = loadBio();
    this.memory = libc.pin(INPUT_BYTES);
  }

  /** Has a session read from memory of its own, and write to the socket. Returns that memory, which is freed with the session. */
  begin(session: number, fd: number): number {
    const { bio } = this;
    const input = bio.newMemory();
    bio.setWriteFd(session, fd);
    bio.setInput(session, input);
    return input;
  }

  /** As recv(2); what has come is put before the session. */
  receive(input: number, fd: number): number {
    const { libc, bio, memory } = this;
    let got: number;
    do got = libc.recv(fd, memory.address, INPUT_BYTES, MSG_DONTWAIT);
    while (got === -EINTR);
    if (got > 0) bio.write(input, memory.address, got);
    return got;
  }

  /** Bytes that the session has not read. */
  left(input: number): number {
    return this.bio.pending(input);
  }

  /** Takes them. They last until the next call. */
  takeRest(input: number): Uint8Array {
    const { bio, memory } = this;
    const left = bio.pending(input);
    return memory.bytes.subarray(0, left === 0 ? 0 : bio.read(input, memory.address, left));
  }

  /** Has the session read from the socket from now on. False: there are bytes that it must read first. */
  end(session: number, fd: number): boolean {
    const { bio } = this;
    return bio.pending(bio.inputOf(session)) === 0 && bio.setReadFd(session, fd) === 1;
  }
}
