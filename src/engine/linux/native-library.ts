import { type Koffi, loadKoffi } from './koffi.ts';

/** Calls the functions of shared libraries, such as OpenSSL, through koffi. */

/** A function that a library may call. */
export interface Callback {
  readonly address: number;
  free(): void;
}

type CallbackType = ReturnType<Koffi['proto']>;

/**
 * Calls the functions of shared libraries through koffi: those of the `node` executable itself, or where it does not export
 * them, of the system's libraries. Pointers are plain numbers.
 */
export class NativeLibrary {
  private readonly koffi: Koffi = loadKoffi();
  private readonly libraries: ReturnType<Koffi['load']>[];
  /** memcpy(3). */
  readonly copy: (to: number, from: number, length: number) => void;

  /** strlen(3). */
  readonly lengthOf: (address: number) => number;

  /**
   * Where the executable does not export `symbol`, these libraries are loaded. What they need they take from themselves and each other first: the
   * executable may have some functions of the same names, of another version. @throws Error where one is missing
   */
  constructor(symbol: string, names: readonly string[]) {
    const executable = this.koffi.load(null);
    this.libraries = [executable];
    try {
      executable.func(`int ${symbol}(int a)`);
    } catch {
      this.libraries = [...names.map((name) => this.koffi.load(name, { deep: true })), executable];
    }
    this.copy = this.bind('uintptr_t memcpy(uintptr_t to, uintptr_t from, size_t length)');
    this.lengthOf = this.bind('size_t strlen(uintptr_t text)');
  }

  /** The function of a prototype in C. @throws Error where no library has it */
  // biome-ignore lint/suspicious/noExplicitAny: the prototype says what it is
  protected bind<F = any>(prototype: string): F {
    for (const library of this.libraries) {
      try {
        return library.func(prototype) as F;
      } catch {
        // it is in the next
      }
    }
    throw new Error(`no ${/(\w+)\(/.exec(prototype)?.[1]}`);
  }

  protected callbackType(prototype: string): CallbackType {
    return this.koffi.proto(prototype);
  }

  /** The function of this type at an address. */
  protected at<F>(address: number, type: CallbackType): F {
    return this.koffi.decode(BigInt(address), type) as F;
  }

  /** Lets the library call `run`, until it is freed. */
  protected register(type: CallbackType, run: (...args: number[]) => number): Callback {
    const registered = this.koffi.register(run, this.koffi.pointer(type));
    return {
      address: Number(this.koffi.address(registered)),
      free: () => this.koffi.unregister(registered),
    };
  }

  /** errno of the last call. */
  errno(): number {
    return this.koffi.errno();
  }
}
