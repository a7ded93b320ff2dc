import { createCipheriv } from 'node:crypto';
import { expect, it } from 'vitest';
import { createAead } from '../../../../src/engine/linux/evp.ts';
import { loadLibc } from '../../../../src/engine/linux/libc.ts';
import { loadProviderCiphers } from '../../../../src/engine/linux/provider-ciphers.ts';
import { aeadCiphers } from '../../../../src/protocol/tls-record/suites.ts';

const libc = loadLibc();

it('has no functions of a cipher that no provider has', () => {
  const ciphers = loadProviderCiphers();
  expect(ciphers.functionsOf(libc, 'AES-128-GCN')).toBeUndefined();
  expect(ciphers.functionsOf(libc, 'aes-128-gcm')).toBeDefined(); // names have no case
});

it.each(
  aeadCiphers.map((cipher) => [cipher.name, cipher] as const),
)('seals with %s as Node does, though ciphers take turns', (name, { number, keyBytes }) => {
  const aead = createAead(libc);
  const key = libc.pin(32);
  const plain = libc.pin(300);
  const sealed = libc.pin(320);
  key.bytes.forEach((_, i) => {
    key.bytes[i] = i * number;
  });
  plain.bytes.fill(number);
  for (const length of [0, 1, 16, 120, 299]) {
    for (const other of aeadCiphers)
      aead.seal(other.number, plain.address, 5, plain.address, 20, 23, sealed.address);
    aead.nonce.fill(length);
    aead.aad.fill(number);
    aead.seal(number, key.address, 5, plain.address, length, 23, sealed.address);
    const node = createCipheriv(
      name.toLowerCase() as 'aes-256-gcm',
      key.bytes.subarray(0, keyBytes),
      aead.nonce,
    );
    node.setAAD(aead.aad.subarray(0, 5), { plaintextLength: length + 1 });
    const expected = [
      node.update(plain.bytes.subarray(0, length)),
      node.update(Buffer.of(23)),
      node.final(),
      node.getAuthTag(),
    ];
    expect(sealed.bytes.subarray(0, length + 17)).toEqual(Buffer.concat(expected));
  }
  aead.close();
});
