import { signatureV2 } from '../../../../src/protocol/proxy-protocol/header.ts';

/** A header of version 2 from its parts, right or wrong. */
export function headerV2(command: number, family: number, body: readonly number[], length = body.length) {
  return Uint8Array.of(...signatureV2, command, family, length >> 8, length & 255, ...body);
}

/** 192.0.2.1:1000 to 198.51.100.2:1883 */
export const addresses4 = [192, 0, 2, 1, 198, 51, 100, 2, 1000 >> 8, 1000 & 255, 1883 >> 8, 1883 & 255];
