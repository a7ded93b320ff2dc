import { formatIp, newIpWords } from '../address/ip.ts';
import { crc32c } from './crc32c.ts';
import { type Endpoint, MAX_V2_BYTES, type ProxyHeader, signatureV2, V2_PREFIX_BYTES } from './header.ts';
import { type Decoded, incomplete, refused } from './result.ts';
import { readTlvs, TLV_HEADER_BYTES, tlvType } from './tlv.ts';

/** The binary header of version 2 (clause 2.2). */

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;

/** Bytes of both endpoints, by address family. */
const addressBytes: readonly (number | undefined)[] = [0, 12, 36, 216];
const MAX_TRANSPORT = 2;

export function decodeV2(bytes: Uint8Array, start: number, end: number): Decoded {
  const known = Math.min(end - start, signatureV2.length);
  for (let i = 0; i < known; i++) {
    if (bytes[start + i] !== signatureV2[i])
      return refused('no-header', 'signature is not that of version 2 (2.2)');
  }
  if (end - start < 13) return incomplete(end - start + 1);
  const command = bytes[start + 12] as number;
  if (command !== LOCAL && command !== PROXY) {
    return refused('malformed', `version and command are 0x${command.toString(16)} (2.2)`);
  }
  if (end - start < 14) return incomplete(14);
  const familyByte = bytes[start + 13] as number;
  const needed = command === LOCAL ? 0 : neededBytes(familyByte);
  if (needed === undefined) return refused('malformed', `family is 0x${familyByte.toString(16)} (2.2)`);
  if (end - start < V2_PREFIX_BYTES) return incomplete(V2_PREFIX_BYTES);
  const length = ((bytes[start + 14] as number) << 8) | (bytes[start + 15] as number);
  if (length < needed) return refused('malformed', `${length} bytes are too few for the addresses (2.2)`);
  if (V2_PREFIX_BYTES + length > MAX_V2_BYTES) {
    return refused(
      'too-long',
      `header of ${V2_PREFIX_BYTES + length} bytes, at most ${MAX_V2_BYTES} are taken`,
    );
  }
  const behind = start + V2_PREFIX_BYTES + length;
  if (end < behind) return incomplete(behind - start);

  // LOCAL discards the whole block; with an unspecified family or transport nobody can say where vectors would begin.
  if (needed === 0) return { kind: 'header', header: unknown, end: behind };
  return withTlvs(bytes, start, needed, behind, endpoints(bytes, start + V2_PREFIX_BYTES, familyByte));
}

const unknown: ProxyHeader = { version: 2, source: undefined, destination: undefined, tlvs: [] };

/** Length of the addresses; 0 where they are to be ignored, undefined where the byte is to be refused. */
function neededBytes(familyByte: number): number | undefined {
  const transport = familyByte & 0x0f;
  const forFamily = addressBytes[familyByte >> 4];
  if (forFamily === undefined || transport > MAX_TRANSPORT) return undefined;
  return transport === 0 ? 0 : forFamily;
}

type Endpoints = Pick<ProxyHeader, 'source' | 'destination'>;

/** Only TCP is what we relay; datagrams and UNIX sockets count as unspecified (2.2, "falls back to the UNSPEC mode"). */
function endpoints(bytes: Uint8Array, at: number, familyByte: number): Endpoints {
  if (familyByte !== TCP4 && familyByte !== TCP6) return unknown;
  const size = familyByte === TCP4 ? 4 : 16;
  return {
    source: endpoint(bytes, at, size, at + 2 * size),
    destination: endpoint(bytes, at + size, size, at + 2 * size + 2),
  };
}

const words = newIpWords();

function endpoint(bytes: Uint8Array, at: number, size: 4 | 16, portAt: number): Endpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 4) words[3] = view.getUint32(at);
  else for (let i = 0; i < 4; i++) words[i] = view.getUint32(at + 4 * i);
  return { address: formatIp(size === 4 ? 4 : 6, words), port: view.getUint16(portAt) };
}

function withTlvs(bytes: Uint8Array, start: number, needed: number, end: number, ends: Endpoints): Decoded {
  const tlvs = readTlvs(bytes, start + V2_PREFIX_BYTES + needed, end);
  if (tlvs === undefined) return refused('malformed', 'the last TLV is cut off (2.2)');
  const { source, destination } = ends;
  let at = start + V2_PREFIX_BYTES + needed;
  let checksums = 0;
  for (const { type, value } of tlvs) {
    at += TLV_HEADER_BYTES;
    if (type === tlvType.crc32c) {
      if (value.length !== 4 || ++checksums > 1)
        return refused('malformed', 'not one checksum of 32 bits (2.2.3)');
      const told = new DataView(value.buffer, value.byteOffset).getUint32(0);
      if (told !== crc32c(bytes, start, end, at)) return refused('checksum', 'CRC32c does not match (2.2.3)');
    }
    at += value.length;
  }
  return { kind: 'header', header: { version: 2, source, destination, tlvs }, end };
}
