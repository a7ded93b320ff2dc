// @ts-check
import { createRequire } from 'node:module';

/**
 * A TLS client of wolfSSL, which devices have and Debian has no program of, called through koffi: `node wolfssl-client.mjs PORT ROUNDS`. It
 * sends lines, wants each of them back, changes its key between them, and prints what it has agreed on. Exit code 3: this machine
 * has no such library.
 */

/** @typedef {(...args: (number | string)[]) => number} Native */

const koffi = createRequire(import.meta.url)('koffi');
const [port = '', rounds = ''] = process.argv.slice(2);
const libc = koffi.load(null);

/** Names that Debian's versions of it have. */
const NAMES = ['libwolfssl.so.35', 'libwolfssl.so.42', 'libwolfssl.so.43', 'libwolfssl.so.44'];

function load() {
  for (const name of NAMES) {
    try {
      return koffi.load(name);
    } catch {
      // perhaps the next
    }
  }
  console.log(`no wolfSSL here: none of ${NAMES.join(', ')}; install libwolfssl-dev`);
  process.exit(3);
}

/** Zeroed memory that stays where it is.
 * @param {number} size */
function memory(size) {
  const bytes = Buffer.allocUnsafeSlow(size).fill(0);
  kept.push(bytes);
  return { bytes, address: Number(koffi.address(bytes)) };
}
/** @type {Buffer[]} */
const kept = [];

/** @param {boolean} isGood @param {string} what */
function must(isGood, what) {
  if (isGood) return;
  console.log(`failed: ${what}`);
  process.exit(1);
}

/** Sends each line and reads it back.
 * @param {(address: number, length: number) => number} write
 * @param {(address: number, length: number) => number} read
 * @param {() => void} between */
function talk(write, read, between) {
  for (let round = 0; round < Number(rounds); round++) {
    const line = memory(round % 3 === 2 ? 20_000 : 60);
    line.bytes.fill(97 + (round % 26));
    for (let sent = 0; sent < line.bytes.length; ) {
      const taken = write(line.address + sent, line.bytes.length - sent);
      must(taken > 0, `write in round ${round}: ${taken}`);
      sent += taken;
    }
    const back = memory(line.bytes.length);
    for (let got = 0; got < back.bytes.length; ) {
      const more = read(back.address + got, back.bytes.length - got);
      must(more > 0, `read in round ${round}: ${more}`);
      got += more;
    }
    must(back.bytes.equals(line.bytes), `round ${round}: other bytes came back`);
    between();
  }
}

function wolfssl() {
  const lib = load();
  const method = lib.func('uintptr_t wolfTLSv1_3_client_method()')();
  const ctx = lib.func('uintptr_t wolfSSL_CTX_new(uintptr_t method)')(method);
  lib.func('void wolfSSL_CTX_set_verify(uintptr_t ctx, int mode, uintptr_t callback)')(ctx, 0, 0);
  const ssl = lib.func('uintptr_t wolfSSL_new(uintptr_t ctx)')(ctx);
  lib.func('int wolfSSL_set_fd(uintptr_t ssl, int fd)')(ssl, socketTo(Number(port)));
  must(lib.func('int wolfSSL_connect(uintptr_t ssl)')(ssl) === 1, 'handshake');
  const write = lib.func('int wolfSSL_write(uintptr_t ssl, uintptr_t bytes, int length)');
  const read = lib.func('int wolfSSL_read(uintptr_t ssl, uintptr_t bytes, int length)');
  const update = lib.func('int wolfSSL_update_keys(uintptr_t ssl)');
  talk(
    (address, length) => write(ssl, address, length),
    (address, length) => read(ssl, address, length),
    () => must(update(ssl) === 1, 'change of keys'),
  );
  const version = lib.func('const char *wolfSSL_get_version(uintptr_t ssl)')(ssl);
  const cipher = lib.func('const char *wolfSSL_get_cipher(uintptr_t ssl)')(ssl);
  lib.func('int wolfSSL_shutdown(uintptr_t ssl)')(ssl);
  console.log(`done: ${version} ${cipher}`);
}

/** A blocking socket.
 * @param {number} to */
function socketTo(to) {
  const fd = libc.func('int socket(int domain, int type, int protocol)')(2, 1, 0);
  const address = memory(16);
  address.bytes.writeUInt16LE(2, 0);
  address.bytes.writeUInt16BE(to, 2);
  address.bytes.writeUInt32BE(0x7f000001, 4);
  const connected = libc.func('int connect(int fd, uintptr_t address, uint32_t length)')(
    fd,
    address.address,
    16,
  );
  must(connected === 0, 'connect');
  return fd;
}

wolfssl();
