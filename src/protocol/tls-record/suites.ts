/** The ciphers that records are sealed with (AEAD), and which suites of TLS use them. */

export type HashName = 'sha256' | 'sha384';

/** What a hash is long. */
export const hashBytes: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48 };

export interface AeadCipher {
  /** Its place in `aeadCipher`, which is part of the serialised form: a number is never given to another cipher. */
  readonly number: number;
  /** As OpenSSL fetches it. */
  readonly name: 'AES-128-GCM' | 'AES-256-GCM' | 'ChaCha20-Poly1305';
  readonly keyBytes: 16 | 32;
  /** Of TLS 1.2: bytes of the IV that come from the handshake (RFC 5288, 3; RFC 7905, 2). */
  readonly fixedIvBytes: 4 | 12;
  /** Of TLS 1.2: bytes of the nonce that each record carries. */
  readonly explicitNonceBytes: 8 | 0;
  /** Whether its keys wear out with what they seal (RFC 8446, 5.5). */
  readonly wearsOut: boolean;
  /** Of TLS 1.3 (RFC 8446, B.4); TLS 1.2 names it in the suite. */
  readonly hash: HashName;
}

const gcm = { fixedIvBytes: 4, explicitNonceBytes: 8, wearsOut: true } as const;

export const aeadCiphers: readonly AeadCipher[] = [
  { number: 1, name: 'AES-128-GCM', keyBytes: 16, hash: 'sha256', ...gcm },
  { number: 2, name: 'AES-256-GCM', keyBytes: 32, hash: 'sha384', ...gcm },
  {
    ...{ number: 3, name: 'ChaCha20-Poly1305', keyBytes: 32, hash: 'sha256' },
    ...{ fixedIvBytes: 12, explicitNonceBytes: 0, wearsOut: false },
  },
];

/** By number; undefined for a number that no cipher has. */
export function aeadCipher(number: number): AeadCipher | undefined {
  return aeadCiphers[number - 1];
}

const tls13: Readonly<Record<string, AeadCipher | undefined>> = {
  TLS_AES_128_GCM_SHA256: aeadCiphers[0],
  TLS_AES_256_GCM_SHA384: aeadCiphers[1],
  TLS_CHACHA20_POLY1305_SHA256: aeadCiphers[2],
};

/** How the suites of TLS 1.2 end in OpenSSL's names; before it stands how keys are agreed on, which is over. */
const tls12: readonly (readonly [RegExp, AeadCipher | undefined])[] = [
  [/(^|-)AES128-GCM-SHA256$/, aeadCiphers[0]],
  [/(^|-)AES256-GCM-SHA384$/, aeadCiphers[1]],
  [/(^|-)CHACHA20-POLY1305$/, aeadCiphers[2]],
];

/** The cipher of a suite in OpenSSL's name; undefined for suites that use none of these. */
export function cipherOfSuite(name: string): AeadCipher | undefined {
  return tls13[name] ?? tls12.find(([pattern]) => pattern.test(name))?.[1];
}
