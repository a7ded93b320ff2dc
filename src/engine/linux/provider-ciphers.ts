import type { Libc, Pinned } from './libc.ts';
import { NativeLibrary } from './native-library.ts';

/**
 * Ciphers as OpenSSL's providers have them (OSSL_PROVIDER(3), provider-cipher(7)): the functions that EVP calls. EVP
 * looks up lengths by name for each record, which are known here: of a short record that is a seventh of its time.
 */

/** A function that is new in version 3, and the library that has it where the executable has not. */
export const CRYPTO_3 = ['OSSL_PROVIDER_query_operation', ['libcrypto.so.3']] as const;

const OSSL_OP_CIPHER = 2;

/** `struct ossl_algorithm_st`: names, properties, functions, description. */
const ALGORITHM_BYTES = 32;
const ALGORITHM_FUNCTIONS = 16;
/** `struct ossl_dispatch_st`: what it does, and the function. */
const FUNCTION_BYTES = 16;
const FUNCTION_ADDRESS = 8;

/** What functions do (openssl/core_dispatch.h). */
const NEW_CONTEXT = 1;
const ENCRYPT_INIT = 2;
const DECRYPT_INIT = 3;
const UPDATE = 4;
const FINAL = 5;
const FREE_CONTEXT = 7;
const GET_PARAMS = 10;

const NAMES_BYTES_MAX = 256;

type Init = (
  context: number,
  key: number,
  keyBytes: number,
  iv: number,
  ivBytes: number,
  params: number,
) => number;

/** What OpenSSL has. */
export interface ProviderCiphers {
  /** Undefined where no provider has this cipher: a validated one may leave some out. */
  functionsOf(libc: Libc, name: string): CipherFunctions | undefined;
  clearErrors(): void;
}

/** The functions of one cipher, which return 1 where they have done what they should. Lengths that they tell are of 8 bytes. */
export interface CipherFunctions {
  /** A context, which knows its cipher for good; 0: memory is out. */
  newContext(): number;
  /** Wipes it too. */
  freeContext(context: number): void;
  readonly encryptInit: Init;
  readonly decryptInit: Init;
  /** Of additional data `to` is 0. @param room bytes at `to`, at least those of the input, also of additional data */
  update(context: number, to: number, length: number, room: number, from: number, bytes: number): number;
  /** Of an AEAD it writes nothing to `to`. */
  final(context: number, to: number, length: number, room: number): number;
  getParams(context: number, params: number): number;
}

class OpenSslCiphers extends NativeLibrary implements ProviderCiphers {
  private readonly fetch: (library: number, name: string, properties: null) => number = this.bind(
    'uintptr_t EVP_CIPHER_fetch(uintptr_t library, const char *name, const char *properties)',
  );
  private readonly providerOf: (cipher: number) => number = this.bind(
    'uintptr_t EVP_CIPHER_get0_provider(uintptr_t cipher)',
  );
  private readonly contextOf: (provider: number) => number = this.bind(
    'uintptr_t OSSL_PROVIDER_get0_provider_ctx(uintptr_t provider)',
  );
  private readonly query: (provider: number, operation: number, isVolatile: number) => number = this.bind(
    'uintptr_t OSSL_PROVIDER_query_operation(uintptr_t provider, int operation, uintptr_t isVolatile)',
  );
  readonly clearErrors: () => void = this.bind('void ERR_clear_error()');
  private readonly newContext = this.callbackType('uintptr_t breakwater_newctx(uintptr_t provider)');
  private readonly freeContext = this.callbackType('void breakwater_freectx(uintptr_t context)');
  private readonly init = this.callbackType(
    'int breakwater_init(uintptr_t ctx, uintptr_t key, size_t keyBytes, uintptr_t iv, size_t ivBytes, uintptr_t params)',
  );
  private readonly update = this.callbackType(
    'int breakwater_update(uintptr_t ctx, uintptr_t to, uintptr_t length, size_t room, uintptr_t from, size_t bytes)',
  );
  private readonly final = this.callbackType(
    'int breakwater_final(uintptr_t ctx, uintptr_t to, uintptr_t length, size_t room)',
  );
  private readonly getParams = this.callbackType(
    'int breakwater_get_ctx_params(uintptr_t ctx, uintptr_t params)',
  );

  functionsOf(libc: Libc, name: string): CipherFunctions | undefined {
    const cipher = this.fetch(0, name, null); // it is kept, and its provider with it
    this.clearErrors();
    if (cipher === 0) return undefined;
    const provider = this.providerOf(cipher);
    const table = this.tableOf(libc.pin(NAMES_BYTES_MAX), provider, name);
    if (table === undefined) return undefined;
    const of = (what: number): number => table.get(what) ?? 0;
    const context = this.contextOf(provider);
    const newContext = this.at<(provider: number) => number>(of(NEW_CONTEXT), this.newContext);
    return {
      newContext: () => newContext(context),
      freeContext: this.at(of(FREE_CONTEXT), this.freeContext),
      encryptInit: this.at(of(ENCRYPT_INIT), this.init),
      decryptInit: this.at(of(DECRYPT_INIT), this.init),
      update: this.at(of(UPDATE), this.update),
      final: this.at(of(FINAL), this.final),
      getParams: this.at(of(GET_PARAMS), this.getParams),
    };
  }

  /** Addresses of the functions, by what they do. Both lists end with zeros. */
  private tableOf(memory: Pinned, provider: number, name: string): Map<number, number> | undefined {
    const algorithms = this.query(provider, OSSL_OP_CIPHER, memory.address);
    for (let at = algorithms; at !== 0 && this.word(memory, at) !== 0; at += ALGORITHM_BYTES) {
      const names = this.text(memory, this.word(memory, at)).toLowerCase().split(':');
      if (!names.includes(name.toLowerCase())) continue;
      const table = new Map<number, number>();
      let entry = this.word(memory, at + ALGORITHM_FUNCTIONS);
      for (let what = this.int(memory, entry); what !== 0; what = this.int(memory, entry)) {
        table.set(what, this.word(memory, entry + FUNCTION_ADDRESS));
        entry += FUNCTION_BYTES;
      }
      return hasAll(table) ? table : undefined;
    }
    return undefined;
  }

  private int({ bytes, address }: Pinned, at: number): number {
    this.copy(address, at, 4);
    return bytes.readInt32LE(0);
  }

  private word({ bytes, address }: Pinned, at: number): number {
    this.copy(address, at, 8);
    return Number(bytes.readBigUInt64LE(0));
  }

  private text({ bytes, address }: Pinned, at: number): string {
    const length = Math.min(this.lengthOf(at), NAMES_BYTES_MAX);
    this.copy(address, at, length);
    return bytes.toString('latin1', 0, length);
  }
}

let loaded: ProviderCiphers | undefined;

export function loadProviderCiphers(): ProviderCiphers {
  loaded ??= new OpenSslCiphers(...CRYPTO_3);
  return loaded;
}

function hasAll(table: ReadonlyMap<number, number>): boolean {
  return [NEW_CONTEXT, ENCRYPT_INIT, DECRYPT_INIT, UPDATE, FINAL, FREE_CONTEXT, GET_PARAMS].every((what) =>
    table.has(what),
  );
}
