import { createRequire } from 'node:module';
import { BreakwaterError, messageOf } from '../../base/errors.ts';

/**
 * The functions of OpenSSL 3 that the engine calls, through koffi: those of the `node` executable itself, or where it
 * does not export them, the system's. Pointers are plain numbers, as in `libc.ts`. See the man page of each name.
 */
export interface OpenSsl {
  readonly newContext: () => number;
  readonly newClientContext: () => number;
  readonly freeContext: (context: number) => void;
  readonly contextControl: (context: number, command: number, larg: number, parg: number) => number;
  readonly setOptions: (context: number, options: number) => number;
  readonly setCipherList: (context: number, names: string) => number;
  readonly setCipherSuites: (context: number, names: string) => number;
  readonly setTickets: (context: number, count: number) => number;
  readonly setSessionScope: (context: number, bytes: string, length: number) => number;
  readonly useCertificate: (context: number, certificate: number) => number;
  readonly useKey: (context: number, key: number) => number;
  /** `callback`: 0, or of `verifyCallback`. */
  readonly setVerify: (context: number, mode: number, callback: number) => void;
  readonly certificateStore: (context: number) => number;
  readonly trust: (store: number, certificate: number) => number;
  readonly addCrl: (store: number, crl: number) => number;
  readonly setStoreFlags: (store: number, flags: number) => number;
  readonly nameAuthority: (context: number, certificate: number) => number;
  readonly setServerNameCallback: (context: number, callback: number) => number;
  readonly setTicketCallback: (context: number, callback: number) => number;
  /** With SHA-256, AES-256 in CBC mode, and keys at those addresses; false where memory is out. */
  readonly startHmac: (hmac: number, key: number, length: number) => boolean;
  readonly startEncrypting: (cipher: number, key: number, iv: number) => boolean;
  readonly startDecrypting: (cipher: number, key: number, iv: number) => boolean;
  /** `arg` comes back in each call. */
  readonly setAlpnCallback: (context: number, callback: number, arg: number) => void;

  readonly memoryBio: (address: number, length: number) => number;
  readonly freeBio: (bio: number) => number;
  readonly readCertificate: (bio: number) => number;
  readonly freeCertificate: (certificate: number) => void;
  readonly readCrl: (bio: number) => number;
  readonly freeCrl: (crl: number) => void;
  readonly readKey: (bio: number) => number;
  readonly freeKey: (key: number) => void;

  readonly open: (context: number) => number;
  readonly free: (ssl: number) => void;
  readonly setFd: (ssl: number, fd: number) => number;
  readonly accept: (ssl: number) => number;
  readonly connect: (ssl: number) => number;
  readonly setServerName: (ssl: number, name: string) => number;
  /** The peer's certificate must be for this name, or this IP address; 0 where it is none. */
  readonly expectName: (ssl: number, name: string) => number;
  readonly expectAddress: (ssl: number, ip: string) => number;
  /** What is wrong with the peer's certificate; null where nothing is. */
  readonly certificateProblem: (ssl: number) => string | null;
  readonly read: (ssl: number, address: number, length: number) => number;
  readonly write: (ssl: number, address: number, length: number) => number;
  readonly shutdown: (ssl: number) => number;
  readonly errorOf: (ssl: number, result: number) => number;
  readonly contextOf: (ssl: number) => number;
  readonly setContext: (ssl: number, context: number) => number;
  readonly version: (ssl: number) => string;
  readonly cipher: (ssl: number) => string;
  readonly serverName: (ssl: number) => string | null;
  readonly alpn: (ssl: number, nameAddress: number, lengthAddress: number) => void;
  /** To be freed with `freeCertificate`; 0 for none. */
  readonly peerCertificate: (ssl: number) => number;
  /** Bytes of DER; with an address of a pointer, also writes them there. */
  readonly encodeCertificate: (certificate: number, pointerAddress: number) => number;
  readonly clearErrors: () => void;
  /** What the last error was, in OpenSSL's words; clears the queue. */
  readonly takeError: () => string;

  readonly copy: (to: number, from: number, length: number) => void;
  readonly errno: () => number;
  /** Makes functions that OpenSSL may call within a call of this thread; they must not throw. */
  readonly serverNameCallback: (run: (ssl: number) => number) => Callback;
  /** Told what is wrong with a certificate (0: nothing); answers whether it is good all the same. */
  readonly ticketCallback: (
    run: (ssl: number, name: number, iv: number, cipher: number, hmac: number, isSealed: boolean) => number,
  ) => Callback;
  readonly verifyCallback: (run: (error: number) => boolean) => Callback;
  readonly alpnCallback: (
    run: (out: number, outLength: number, offered: number, offeredLength: number, arg: number) => number,
  ) => Callback;
}

interface Callback {
  readonly address: number;
  free(): void;
}

export const SSL_ERROR_SSL = 1;
export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
export const SSL_ERROR_SYSCALL = 5;
export const SSL_ERROR_ZERO_RETURN = 6;

export const SSL_CTRL_MODE = 33;
export const SSL_CTRL_SET_READ_AHEAD = 41;
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
export const SSL_CTRL_CHAIN_CERT = 89;
export const SSL_CTRL_SET_GROUPS_LIST = 92;
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;

export const SSL_MODE_ENABLE_PARTIAL_WRITE = 0x1;
export const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2;
export const SSL_MODE_RELEASE_BUFFERS = 0x10;
export const SSL_OP_IGNORE_UNEXPECTED_EOF = 2 ** 7;
export const SSL_OP_NO_COMPRESSION = 2 ** 17;
export const SSL_OP_CIPHER_SERVER_PREFERENCE = 2 ** 22;
export const SSL_OP_NO_RENEGOTIATION = 2 ** 30;
export const TLS1_2_VERSION = 0x303;
export const TLS1_3_VERSION = 0x304;
export const X509_V_FLAG_CRL_CHECK = 0x4;
export const X509_V_FLAG_CRL_CHECK_ALL = 0x8;
export const X509_V_ERR_CRL_HAS_EXPIRED = 12;
export const SSL_VERIFY_PEER = 1;
export const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
export const SSL_TLSEXT_ERR_OK = 0;
export const SSL_TLSEXT_ERR_ALERT_FATAL = 2;

const SSL_CTRL_SET_TLSEXT_SERVERNAME_CB = 53;
const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB = 72;
const TLSEXT_NAMETYPE_HOST_NAME = 0;

let loaded: OpenSsl | undefined;

/** @throws BreakwaterError ENGINE_UNAVAILABLE where this machine has no OpenSSL 3 to call */
export function loadOpenSsl(): OpenSsl {
  try {
    loaded ??= bind();
    return loaded;
  } catch (error) {
    throw new BreakwaterError(
      'ENGINE_UNAVAILABLE',
      `the epoll engine finds no OpenSSL 3 for TLS listeners (${messageOf(error)}); set proxy.engine to node`,
    );
  }
}

function bind(): OpenSsl {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const ours = koffi.load(null);
  let libraries = [ours];
  try {
    ours.func('int SSL_get1_peer_certificate(int a)'); // new in version 3
  } catch {
    libraries = [koffi.load('libssl.so.3'), koffi.load('libcrypto.so.3'), ours];
  }

  // biome-ignore lint/suspicious/noExplicitAny: the prototype says what it is
  function f(prototype: string): any {
    for (const library of libraries) {
      try {
        return library.func(prototype);
      } catch {
        // it is in the next
      }
    }
    throw new Error(`no ${/(\w+)\(/.exec(prototype)?.[1]}`);
  }

  const serverMethod = f('uintptr_t TLS_server_method()') as () => number;
  const clientMethod = f('uintptr_t TLS_client_method()') as () => number;
  const newContext = f('uintptr_t SSL_CTX_new(uintptr_t method)');
  const control = f('intptr_t SSL_ctrl(uintptr_t ssl, int cmd, intptr_t larg, const char *text)');
  const parameters = f('uintptr_t SSL_get0_param(uintptr_t ssl)');
  const expectAddress = f('int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t parameters, const char *ip)');
  const verifyResult = f('long SSL_get_verify_result(uintptr_t ssl)');
  const verifyError = f('const char *X509_verify_cert_error_string(long error)');
  const setVerify = f('void SSL_CTX_set_verify(uintptr_t ctx, int mode, uintptr_t callback)');
  const callbackControl = f('intptr_t SSL_CTX_callback_ctrl(uintptr_t ctx, int cmd, uintptr_t callback)');
  const readPem = 'uintptr_t bio, uintptr_t into, uintptr_t password, uintptr_t arg';
  const readCertificate = f(`uintptr_t PEM_read_bio_X509_AUX(${readPem})`);
  const readCrl = f(`uintptr_t PEM_read_bio_X509_CRL(${readPem})`);
  const verifyErrorOf = f('int X509_STORE_CTX_get_error(uintptr_t ctx)');
  const setVerifyError = f('void X509_STORE_CTX_set_error(uintptr_t ctx, int error)');
  const readKey = f(`uintptr_t PEM_read_bio_PrivateKey(${readPem})`);
  const serverName = f('const char *SSL_get_servername(uintptr_t ssl, int type)');
  const currentCipher = f('uintptr_t SSL_get_current_cipher(uintptr_t ssl)');
  const cipherName = f('const char *SSL_CIPHER_get_name(uintptr_t cipher)');
  const lastError = f('unsigned long ERR_peek_last_error()');
  const reason = f('const char *ERR_reason_error_string(unsigned long error)');
  const clearErrors = f('void ERR_clear_error()');

  const startHmac = f(
    'int HMAC_Init_ex(uintptr_t hmac, uintptr_t key, int length, uintptr_t hash, uintptr_t engine)',
  );
  const cipherStart = 'uintptr_t cipher, uintptr_t type, uintptr_t engine, uintptr_t key, uintptr_t iv';
  const startEncrypting = f(`int EVP_EncryptInit_ex(${cipherStart})`);
  const startDecrypting = f(`int EVP_DecryptInit_ex(${cipherStart})`);
  const sha256: number = f('uintptr_t EVP_sha256()')();
  const aes256: number = f('uintptr_t EVP_aes_256_cbc()')();
  const ticketType = koffi.proto(
    'int BreakwaterTicket(uintptr_t ssl, uintptr_t name, uintptr_t iv, uintptr_t cipher, uintptr_t hmac, int isSealed)',
  );
  const verifyType = koffi.proto('int BreakwaterVerify(int ok, uintptr_t ctx)');
  const nameType = koffi.proto('int BreakwaterServerName(uintptr_t ssl, uintptr_t alert, uintptr_t arg)');
  const alpnType = koffi.proto(
    'int BreakwaterAlpn(uintptr_t ssl, uintptr_t out, uintptr_t outLength, uintptr_t in, uint32_t inLength, uintptr_t arg)',
  );
  type CallbackType = ReturnType<typeof koffi.proto>;
  function callback(type: CallbackType, run: (...args: number[]) => number): Callback {
    const registered = koffi.register(run, koffi.pointer(type));
    return { address: Number(koffi.address(registered)), free: () => koffi.unregister(registered) };
  }

  return {
    newContext: () => newContext(serverMethod()),
    newClientContext: () => newContext(clientMethod()),
    freeContext: f('void SSL_CTX_free(uintptr_t ctx)'),
    contextControl: f('intptr_t SSL_CTX_ctrl(uintptr_t ctx, int cmd, intptr_t larg, uintptr_t parg)'),
    setOptions: f('uint64_t SSL_CTX_set_options(uintptr_t ctx, uint64_t options)'),
    setCipherList: f('int SSL_CTX_set_cipher_list(uintptr_t ctx, const char *names)'),
    setCipherSuites: f('int SSL_CTX_set_ciphersuites(uintptr_t ctx, const char *names)'),
    setTickets: f('int SSL_CTX_set_num_tickets(uintptr_t ctx, size_t count)'),
    setSessionScope: f(
      'int SSL_CTX_set_session_id_context(uintptr_t ctx, const char *bytes, uint32_t length)',
    ),
    useCertificate: f('int SSL_CTX_use_certificate(uintptr_t ctx, uintptr_t x509)'),
    useKey: f('int SSL_CTX_use_PrivateKey(uintptr_t ctx, uintptr_t key)'),
    setVerify,
    certificateStore: f('uintptr_t SSL_CTX_get_cert_store(uintptr_t ctx)'),
    trust: f('int X509_STORE_add_cert(uintptr_t store, uintptr_t x509)'),
    addCrl: f('int X509_STORE_add_crl(uintptr_t store, uintptr_t crl)'),
    setStoreFlags: f('int X509_STORE_set_flags(uintptr_t store, unsigned long flags)'),
    nameAuthority: f('int SSL_CTX_add_client_CA(uintptr_t ctx, uintptr_t x509)'),
    setServerNameCallback: (context, address) =>
      callbackControl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, address),
    setTicketCallback: (context, address) =>
      callbackControl(context, SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, address),
    startHmac: (hmac, key, length) => startHmac(hmac, key, length, sha256, 0) === 1,
    startEncrypting: (cipher, key, iv) => startEncrypting(cipher, aes256, 0, key, iv) === 1,
    startDecrypting: (cipher, key, iv) => startDecrypting(cipher, aes256, 0, key, iv) === 1,
    setAlpnCallback: f('void SSL_CTX_set_alpn_select_cb(uintptr_t ctx, uintptr_t callback, uintptr_t arg)'),

    memoryBio: f('uintptr_t BIO_new_mem_buf(uintptr_t bytes, int length)'),
    freeBio: f('int BIO_free(uintptr_t bio)'),
    readCertificate: (bio) => readCertificate(bio, 0, 0, 0),
    freeCertificate: f('void X509_free(uintptr_t x509)'),
    readCrl: (bio) => readCrl(bio, 0, 0, 0),
    freeCrl: f('void X509_CRL_free(uintptr_t crl)'),
    readKey: (bio) => readKey(bio, 0, 0, 0),
    freeKey: f('void EVP_PKEY_free(uintptr_t key)'),

    open: f('uintptr_t SSL_new(uintptr_t ctx)'),
    free: f('void SSL_free(uintptr_t ssl)'),
    setFd: f('int SSL_set_fd(uintptr_t ssl, int fd)'),
    accept: f('int SSL_accept(uintptr_t ssl)'),
    connect: f('int SSL_connect(uintptr_t ssl)'),
    setServerName: (ssl, name) => control(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_HOST_NAME, name),
    expectName: f('int SSL_set1_host(uintptr_t ssl, const char *name)'),
    expectAddress: (ssl, ip) => expectAddress(parameters(ssl), ip),
    certificateProblem(ssl) {
      const error = verifyResult(ssl);
      return error === 0 ? null : verifyError(error);
    },
    read: f('int SSL_read(uintptr_t ssl, uintptr_t bytes, int length)'),
    write: f('int SSL_write(uintptr_t ssl, uintptr_t bytes, int length)'),
    shutdown: f('int SSL_shutdown(uintptr_t ssl)'),
    errorOf: f('int SSL_get_error(uintptr_t ssl, int result)'),
    contextOf: f('uintptr_t SSL_get_SSL_CTX(uintptr_t ssl)'),
    setContext: f('uintptr_t SSL_set_SSL_CTX(uintptr_t ssl, uintptr_t ctx)'),
    version: f('const char *SSL_get_version(uintptr_t ssl)'),
    cipher: (ssl) => cipherName(currentCipher(ssl)),
    serverName: (ssl) => serverName(ssl, TLSEXT_NAMETYPE_HOST_NAME),
    alpn: f('void SSL_get0_alpn_selected(uintptr_t ssl, uintptr_t name, uintptr_t length)'),
    peerCertificate: f('uintptr_t SSL_get1_peer_certificate(uintptr_t ssl)'),
    encodeCertificate: f('int i2d_X509(uintptr_t x509, uintptr_t pointer)'),
    clearErrors,
    takeError() {
      const text: string | null = reason(lastError());
      clearErrors();
      return text ?? 'unknown error';
    },

    copy: f('void *memcpy(uintptr_t to, uintptr_t from, size_t length)'),
    errno: () => koffi.errno(),
    serverNameCallback: (run) => callback(nameType, (ssl) => run(ssl as number)),
    ticketCallback: (run) =>
      callback(ticketType, (...args) => {
        const [session, name, iv, cipher, hmac] = args as [number, number, number, number, number];
        return run(session, name, iv, cipher, hmac, args[5] === 1);
      }),
    verifyCallback: (run) =>
      callback(verifyType, (ok, ctx) => {
        if (ok === 1) return 1;
        const isGood = run(verifyErrorOf(ctx));
        if (isGood) setVerifyError(ctx, 0);
        return isGood ? 1 : 0;
      }),
    alpnCallback: (run) =>
      callback(alpnType, (_ssl, ...args) => run(...(args as [number, number, number, number, number]))),
  };
}
