import { type Callback, NativeLibrary } from './native-library.ts';

/** The functions and constants of OpenSSL 3 that the engine uses, each beside its prototype. */

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
export const SSL_MODE_NO_AUTO_CHAIN = 0x8;
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

/** Arguments of the functions that read something from PEM, behind the BIO: into, password and its argument. */
const PEM = 'uintptr_t bio, uintptr_t into, uintptr_t password, uintptr_t arg';

type Numbers = (...args: number[]) => number;

/**
 * The functions of OpenSSL 3 that the engine calls, through koffi: those of the `node` executable itself, or where it
 * does not export them, the system's. Pointers are plain numbers, as in `libc.ts`. See the man page of each name.
 */
export class OpenSsl extends NativeLibrary {
  // ---- contexts: the settings of many sessions (SSL_CTX)

  private readonly newCtx: Numbers = this.bind('uintptr_t SSL_CTX_new(uintptr_t method)');
  private readonly serverMethod = this.bind<() => number>('uintptr_t TLS_server_method()')();
  private readonly clientMethod = this.bind<() => number>('uintptr_t TLS_client_method()')();
  readonly freeContext: (context: number) => void = this.bind('void SSL_CTX_free(uintptr_t ctx)');
  readonly contextControl: (context: number, command: number, larg: number, parg: number) => number =
    this.bind('intptr_t SSL_CTX_ctrl(uintptr_t ctx, int cmd, intptr_t larg, uintptr_t parg)');
  readonly setOptions: (context: number, options: number) => number = this.bind(
    'uint64_t SSL_CTX_set_options(uintptr_t ctx, uint64_t options)',
  );
  readonly setCipherList: (context: number, names: string) => number = this.bind(
    'int SSL_CTX_set_cipher_list(uintptr_t ctx, const char *names)',
  );
  readonly setCipherSuites: (context: number, names: string) => number = this.bind(
    'int SSL_CTX_set_ciphersuites(uintptr_t ctx, const char *names)',
  );
  readonly setTickets: (context: number, count: number) => number = this.bind(
    'int SSL_CTX_set_num_tickets(uintptr_t ctx, size_t count)',
  );
  readonly setSessionScope: (context: number, bytes: string, length: number) => number = this.bind(
    'int SSL_CTX_set_session_id_context(uintptr_t ctx, const char *bytes, uint32_t length)',
  );
  readonly useCertificate: (context: number, certificate: number) => number = this.bind(
    'int SSL_CTX_use_certificate(uintptr_t ctx, uintptr_t x509)',
  );
  readonly useKey: (context: number, key: number) => number = this.bind(
    'int SSL_CTX_use_PrivateKey(uintptr_t ctx, uintptr_t key)',
  );
  /** `callback`: 0, or of `verifyCallback`. */
  readonly setVerify: (context: number, mode: number, callback: number) => void = this.bind(
    'void SSL_CTX_set_verify(uintptr_t ctx, int mode, uintptr_t callback)',
  );
  readonly certificateStore: (context: number) => number = this.bind(
    'uintptr_t SSL_CTX_get_cert_store(uintptr_t ctx)',
  );
  readonly trust: (store: number, certificate: number) => number = this.bind(
    'int X509_STORE_add_cert(uintptr_t store, uintptr_t x509)',
  );
  readonly addCrl: (store: number, crl: number) => number = this.bind(
    'int X509_STORE_add_crl(uintptr_t store, uintptr_t crl)',
  );
  readonly setStoreFlags: (store: number, flags: number) => number = this.bind(
    'int X509_STORE_set_flags(uintptr_t store, unsigned long flags)',
  );
  readonly nameAuthority: (context: number, certificate: number) => number = this.bind(
    'int SSL_CTX_add_client_CA(uintptr_t ctx, uintptr_t x509)',
  );
  private readonly callbackControl: Numbers = this.bind(
    'intptr_t SSL_CTX_callback_ctrl(uintptr_t ctx, int cmd, uintptr_t callback)',
  );
  /** `arg` comes back in each call. */
  readonly setAlpnCallback: (context: number, callback: number, arg: number) => void = this.bind(
    'void SSL_CTX_set_alpn_select_cb(uintptr_t ctx, uintptr_t callback, uintptr_t arg)',
  );

  newContext(): number {
    return this.newCtx(this.serverMethod);
  }

  newClientContext(): number {
    return this.newCtx(this.clientMethod);
  }

  /** `callback`: 0, or of `keylogCallback`. */
  readonly setKeylogCallback: (context: number, callback: number) => void = this.bind(
    'void SSL_CTX_set_keylog_callback(uintptr_t ctx, uintptr_t callback)',
  );

  /** `callback`: 0, or of `paddingCallback`. */
  readonly setPaddingCallback: (context: number, callback: number) => void = this.bind(
    'void SSL_CTX_set_record_padding_callback(uintptr_t ctx, uintptr_t callback)',
  );

  setServerNameCallback(context: number, callback: number): number {
    return this.callbackControl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, callback);
  }

  setTicketCallback(context: number, callback: number): number {
    return this.callbackControl(context, SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, callback);
  }

  // ---- certificates, keys and revocation lists

  readonly memoryBio: (address: number, length: number) => number = this.bind(
    'uintptr_t BIO_new_mem_buf(uintptr_t bytes, int length)',
  );
  readonly freeBio: (bio: number) => number = this.bind('int BIO_free(uintptr_t bio)');
  private readonly readX509: Numbers = this.bind(`uintptr_t PEM_read_bio_X509_AUX(${PEM})`);
  private readonly readX509Crl: Numbers = this.bind(`uintptr_t PEM_read_bio_X509_CRL(${PEM})`);
  private readonly readPrivateKey: Numbers = this.bind(`uintptr_t PEM_read_bio_PrivateKey(${PEM})`);
  readonly freeCertificate: (certificate: number) => void = this.bind('void X509_free(uintptr_t x509)');
  readonly freeCrl: (crl: number) => void = this.bind('void X509_CRL_free(uintptr_t crl)');
  readonly freeKey: (key: number) => void = this.bind('void EVP_PKEY_free(uintptr_t key)');
  /** Bytes of DER; with an address of a pointer, also writes them there. */
  readonly encodeCertificate: (certificate: number, pointerAddress: number) => number = this.bind(
    'int i2d_X509(uintptr_t x509, uintptr_t pointer)',
  );

  /** The next of the BIO, to be freed; 0 where there is none. */
  readCertificate(bio: number): number {
    return this.readX509(bio, 0, 0, 0);
  }

  readCrl(bio: number): number {
    return this.readX509Crl(bio, 0, 0, 0);
  }

  readKey(bio: number): number {
    return this.readPrivateKey(bio, 0, 0, 0);
  }

  // ---- sessions (SSL)

  readonly open: (context: number) => number = this.bind('uintptr_t SSL_new(uintptr_t ctx)');
  readonly free: (ssl: number) => void = this.bind('void SSL_free(uintptr_t ssl)');
  readonly setFd: (ssl: number, fd: number) => number = this.bind('int SSL_set_fd(uintptr_t ssl, int fd)');
  readonly accept: (ssl: number) => number = this.bind('int SSL_accept(uintptr_t ssl)');
  readonly connect: (ssl: number) => number = this.bind('int SSL_connect(uintptr_t ssl)');
  readonly read: (ssl: number, address: number, length: number) => number = this.bind(
    'int SSL_read(uintptr_t ssl, uintptr_t bytes, int length)',
  );
  readonly write: (ssl: number, address: number, length: number) => number = this.bind(
    'int SSL_write(uintptr_t ssl, uintptr_t bytes, int length)',
  );
  readonly shutdown: (ssl: number) => number = this.bind('int SSL_shutdown(uintptr_t ssl)');
  readonly errorOf: (ssl: number, result: number) => number = this.bind(
    'int SSL_get_error(uintptr_t ssl, int result)',
  );
  readonly contextOf: (ssl: number) => number = this.bind('uintptr_t SSL_get_SSL_CTX(uintptr_t ssl)');
  readonly setContext: (ssl: number, context: number) => number = this.bind(
    'uintptr_t SSL_set_SSL_CTX(uintptr_t ssl, uintptr_t ctx)',
  );
  private readonly control: (ssl: number, command: number, larg: number, text: string | null) => number =
    this.bind('intptr_t SSL_ctrl(uintptr_t ssl, int cmd, intptr_t larg, const char *text)');
  /** The peer's certificate must be for this name; 0 where it is none. */
  readonly expectName: (ssl: number, name: string) => number = this.bind(
    'int SSL_set1_host(uintptr_t ssl, const char *name)',
  );
  private readonly parameters: Numbers = this.bind('uintptr_t SSL_get0_param(uintptr_t ssl)');
  private readonly expectIp: (parameters: number, ip: string) => number = this.bind(
    'int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t parameters, const char *ip)',
  );

  setServerName(ssl: number, name: string): number {
    return this.control(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_HOST_NAME, name);
  }

  /** The peer's certificate must be for this IP address; 0 where it is none. */
  expectAddress(ssl: number, ip: string): number {
    return this.expectIp(this.parameters(ssl), ip);
  }

  private readonly setReadAhead: (ssl: number, yes: number) => void = this.bind(
    'void SSL_set_read_ahead(uintptr_t ssl, int yes)',
  );

  /** Has a session whose handshake is done read and write on by itself, with little memory while it is idle. */
  goOn(ssl: number): void {
    this.setReadAhead(ssl, 1);
    this.control(ssl, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, null);
  }

  // ---- what a handshake leaves to records that are our own

  /** Whether it has bytes from the socket that nobody has read. */
  readonly hasPending: (ssl: number) => number = this.bind('int SSL_has_pending(uintptr_t ssl)');
  readonly clientRandom: (ssl: number, address: number, length: number) => number = this.bind(
    'size_t SSL_get_client_random(uintptr_t ssl, uintptr_t out, size_t length)',
  );
  readonly serverRandom: (ssl: number, address: number, length: number) => number = this.bind(
    'size_t SSL_get_server_random(uintptr_t ssl, uintptr_t out, size_t length)',
  );
  private readonly session: Numbers = this.bind('uintptr_t SSL_get_session(uintptr_t ssl)');
  private readonly sessionMasterKey: Numbers = this.bind(
    'size_t SSL_SESSION_get_master_key(uintptr_t session, uintptr_t out, size_t length)',
  );
  private readonly sessionMaxFragment: Numbers = this.bind(
    'uint8_t SSL_SESSION_get_max_fragment_length(uintptr_t session)',
  );
  private readonly writeBio: Numbers = this.bind('uintptr_t SSL_get_wbio(uintptr_t ssl)');
  private readonly numberWritten: Numbers = this.bind('uint64_t BIO_number_written(uintptr_t bio)');

  /** Of TLS 1.2. Returns its length. */
  masterKey(ssl: number, address: number, length: number): number {
    return this.sessionMasterKey(this.session(ssl), address, length);
  }

  /** 1 to 4 for 512 to 4096 bytes, twice as many each (RFC 6066, 4); 0: the peer has not asked for less than all. */
  maxFragmentMode(ssl: number): number {
    return this.sessionMaxFragment(this.session(ssl));
  }

  /** Bytes that were given to the socket. */
  bytesWritten(ssl: number): number {
    return Number(this.numberWritten(this.writeBio(ssl)));
  }

  // ---- what a session has settled

  readonly suite: (ssl: number) => number = this.bind('uintptr_t SSL_get_current_cipher(uintptr_t ssl)');
  readonly suiteName: (suite: number) => string = this.bind(
    'const char *SSL_CIPHER_get_name(uintptr_t cipher)',
  );
  private readonly servername: (ssl: number, type: number) => string | null = this.bind(
    'const char *SSL_get_servername(uintptr_t ssl, int type)',
  );
  readonly alpn: (ssl: number, nameAddress: number, lengthAddress: number) => void = this.bind(
    'void SSL_get0_alpn_selected(uintptr_t ssl, uintptr_t name, uintptr_t length)',
  );
  /** To be freed with `freeCertificate`; 0 for none. */
  readonly peerCertificate: (ssl: number) => number = this.bind(
    'uintptr_t SSL_get1_peer_certificate(uintptr_t ssl)',
  );
  private readonly verifyResult: Numbers = this.bind('long SSL_get_verify_result(uintptr_t ssl)');
  private readonly verifyText: (error: number) => string = this.bind(
    'const char *X509_verify_cert_error_string(long error)',
  );

  serverName(ssl: number): string | null {
    return this.servername(ssl, TLSEXT_NAMETYPE_HOST_NAME);
  }

  /** What is wrong with the peer's certificate; null where nothing is. */
  certificateProblem(ssl: number): string | null {
    const error = this.verifyResult(ssl);
    return error === 0 ? null : this.verifyText(error);
  }

  // ---- errors

  readonly clearErrors: () => void = this.bind('void ERR_clear_error()');
  private readonly lastError: () => number = this.bind('unsigned long ERR_peek_last_error()');
  private readonly errorText: (error: number) => string | null = this.bind(
    'const char *ERR_reason_error_string(unsigned long error)',
  );

  /** What the last error was, in OpenSSL's words; clears the queue. */
  takeError(): string {
    const text = this.errorText(this.lastError());
    this.clearErrors();
    return text ?? 'unknown error';
  }

  // ---- callbacks: functions that OpenSSL may call within a call of this thread; they must not throw

  private readonly verifyErrorOf: Numbers = this.bind('int X509_STORE_CTX_get_error(uintptr_t ctx)');
  private readonly setVerifyError: (ctx: number, error: number) => void = this.bind(
    'void X509_STORE_CTX_set_error(uintptr_t ctx, int error)',
  );
  private readonly nameType = this.callbackType(
    'int BreakwaterServerName(uintptr_t ssl, uintptr_t alert, uintptr_t arg)',
  );
  private readonly verifyType = this.callbackType('int BreakwaterVerify(int ok, uintptr_t ctx)');
  private readonly ticketType = this.callbackType(
    'int BreakwaterTicket(uintptr_t ssl, uintptr_t name, uintptr_t iv, uintptr_t cipher, uintptr_t hmac, int isSealed)',
  );
  private readonly alpnType = this.callbackType(
    'int BreakwaterAlpn(uintptr_t ssl, uintptr_t out, uintptr_t outLength, uintptr_t in, uint32_t inLength, uintptr_t arg)',
  );

  private readonly paddingType = this.callbackType(
    'size_t BreakwaterPadding(uintptr_t ssl, int type, size_t length, uintptr_t arg)',
  );
  private readonly keylogType = this.callbackType('void BreakwaterKeylog(uintptr_t ssl, uintptr_t line)');

  serverNameCallback(run: (ssl: number) => number): Callback {
    return this.register(this.nameType, (ssl) => run(ssl as number));
  }

  /** Told what is wrong with a certificate; answers whether it is good all the same. */
  verifyCallback(run: (error: number) => boolean): Callback {
    return this.register(this.verifyType, (ok, ctx = 0) => {
      if (ok === 1) return 1;
      const isGood = run(this.verifyErrorOf(ctx));
      if (isGood) this.setVerifyError(ctx, 0);
      return isGood ? 1 : 0;
    });
  }

  /** Told where a ticket's name and IV are, and what seals it, or opens it. */
  ticketCallback(
    run: (ssl: number, name: number, iv: number, cipher: number, hmac: number, isSealed: boolean) => number,
  ): Callback {
    return this.register(this.ticketType, (...args) => {
      const [session, name, iv, cipher, hmac] = args as [number, number, number, number, number];
      return run(session, name, iv, cipher, hmac, args[5] === 1);
    });
  }

  /** Told that a record of TLS 1.3 is about to be sealed; answers that it is not padded. */
  paddingCallback(run: (ssl: number) => void): Callback {
    return this.register(this.paddingType, (ssl) => {
      run(ssl as number);
      return 0;
    });
  }

  /** Told where a line of NSS's key log is, which ends with 0. */
  keylogCallback(run: (line: number) => void): Callback {
    return this.register(this.keylogType, (_ssl, line) => {
      run(line as number);
      return 0;
    });
  }

  alpnCallback(
    run: (out: number, outLength: number, offered: number, offeredLength: number, arg: number) => number,
  ): Callback {
    return this.register(this.alpnType, (_ssl, ...args) =>
      run(...(args as [number, number, number, number, number])),
    );
  }
}

/** What a program that has OpenSSL 3 exports, and what it is loaded from otherwise. */
export const OPENSSL_3 = ['SSL_get1_peer_certificate', ['libssl.so.3', 'libcrypto.so.3']] as const;

let loaded: OpenSsl | undefined;

/** @throws Error where this machine has no OpenSSL 3 to call */
export function loadOpenSsl(): OpenSsl {
  loaded ??= new OpenSsl(...OPENSSL_3);
  return loaded;
}
