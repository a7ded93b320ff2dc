import { takeHandshake } from './records.ts';

/**
 * The first message of a device that speaks TLS (RFC 8446, 4.1.2), read for the server name in it (RFC 6066, 3) where
 * the TLS itself passes through to the node.
 */
export type ClientHello =
  | { readonly kind: 'incomplete' }
  /** `serverName` in lower case; undefined where the device named none. */
  | { readonly kind: 'hello'; readonly serverName: string | undefined }
  | { readonly kind: 'refused'; readonly detail: string };

const SERVER_NAME = 0;
const HOST_NAME = 0;
/** OpenSSL's limit, and enough: names of DNS have 253 characters at most. */
const MAX_NAME_BYTES = 255;

/**
 * Looks for a ClientHello at the start of [start, end). Keeps no state: it is asked again over the same bytes whenever
 * more have arrived, and refuses as soon as they allow. Never asks for more than MAX_HELLO_BYTES.
 */
export function readClientHello(bytes: Uint8Array, start: number, end: number): ClientHello {
  const message = takeHandshake(bytes, start, end);
  if (!(message instanceof Uint8Array)) return message;
  try {
    return { kind: 'hello', serverName: serverNameOf(new Reader(message)) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'refused', detail: error.message };
    throw error;
  }
}

class Malformed extends Error {}

function serverNameOf(hello: Reader): string | undefined {
  hello.skip(2 + 32, 'version and random');
  hello.vector(1, 'session id');
  hello.vector(2, 'cipher suites');
  hello.vector(1, 'compression methods');
  if (hello.isAtEnd) return undefined; // TLS 1.2 may have no extensions (RFC 5246, 7.4.1.2)
  const extensions = hello.vector(2, 'extensions');
  hello.mustEnd('ClientHello');
  let name: string | undefined;
  while (!extensions.isAtEnd) {
    const type = extensions.number(2, 'extension type');
    const body = extensions.vector(2, 'extension');
    if (type !== SERVER_NAME) continue;
    if (name !== undefined) throw new Malformed('server name twice (RFC 8446, 4.2)');
    name = hostName(body);
  }
  return name;
}

/** Exactly one name of the only type that exists (RFC 6066, 3). */
function hostName(extension: Reader): string {
  const list = extension.vector(2, 'server name list');
  extension.mustEnd('server name');
  const type = list.number(1, 'name type');
  const name = list.vector(2, 'host name').rest;
  list.mustEnd('server name list');
  const text = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1').toLowerCase();
  const isName =
    type === HOST_NAME && name.length <= MAX_NAME_BYTES && /^[a-z0-9_]([a-z0-9._-]*)$/.test(text);
  if (!isName) throw new Malformed('server name is no host name (RFC 6066, 3)');
  return text;
}

/** Walks through numbers and vectors of variable length (RFC 8446, 3.4). */
class Reader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  get rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }

  skip(length: number, what: string): void {
    if (this.bytes.length - this.at < length) throw new Malformed(`${what} is cut off (RFC 8446, 4.1.2)`);
    this.at += length;
  }

  number(size: 1 | 2, what: string): number {
    const from = this.at;
    this.skip(size, what);
    const first = this.bytes[from] as number;
    return size === 1 ? first : (first << 8) | (this.bytes[from + 1] as number);
  }

  vector(lengthSize: 1 | 2, what: string): Reader {
    const length = this.number(lengthSize, what);
    const from = this.at;
    this.skip(length, what);
    return new Reader(this.bytes.subarray(from, from + length));
  }

  mustEnd(what: string): void {
    if (!this.isAtEnd) throw new Malformed(`${what} has bytes behind its end (RFC 8446, 4.1.2)`);
  }
}
