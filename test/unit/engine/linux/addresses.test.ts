import { describe, expect, it } from 'vitest';
import { encodeAddress, hostOf, peerOf, portOf } from '../../../../src/engine/linux/addresses.ts';
import { type Libc, loadLibc } from '../../../../src/engine/linux/libc.ts';

describe.runIf(process.platform === 'linux')('socket addresses', () => {
  const libc: Libc = process.platform === 'linux' ? loadLibc() : ({} as Libc);

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['255.0.10.200', '255.0.10.200'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['fe80::', 'fe80::'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
  ])('%s is read back as %s (RFC 5952)', (host, shown) => {
    const encoded = encodeAddress(libc, host, 1883);
    if (encoded === undefined) throw new Error('not encoded');
    expect([hostOf(encoded.bytes), portOf(encoded.bytes)]).toEqual([shown, 1883]);
    const { remoteAddress, remotePort } = peerOf(encoded.bytes, { destination: undefined });
    expect([remoteAddress, remotePort]).toEqual([shown, 1883]);
  });

  it.each(['localhost', '', '1.2.3', '1.2.3.4.5', ':::'])('%j is no address', (host) => {
    expect(encodeAddress(libc, host, 1)).toBeUndefined();
  });
});
