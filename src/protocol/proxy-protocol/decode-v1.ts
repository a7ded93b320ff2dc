import { newIpWords, parseIp } from '../address/ip.ts';
import type { Endpoint } from './header.ts';
import { MAX_V1_BYTES } from './header.ts';
import { type Decoded, incomplete, refused } from './result.ts';

/** The one line of version 1 (clause 2.1). */

const CR = 13;
const LF = 10;

/** What the line may begin with, and its greatest length, CRLF included. */
const kinds = [
  { start: 'PROXY TCP4 ', family: 4, maxBytes: 56 },
  { start: 'PROXY TCP6 ', family: 6, maxBytes: 104 },
  { start: 'PROXY UNKNOWN', family: 0, maxBytes: MAX_V1_BYTES },
] as const;

/** `start` is known to hold at least the `P`. */
export function decodeV1(bytes: Uint8Array, start: number, end: number): Decoded {
  const kind = kinds.find((each) => beginsWith(bytes, start, end, each.start));
  if (kind === undefined) {
    return beginsWith(bytes, start, end, 'PROXY ')
      ? refused('malformed', 'neither TCP4 nor TCP6 nor UNKNOWN behind PROXY (2.1)')
      : refused('no-header', 'does not begin with a PROXY protocol header (2)');
  }
  const limit = Math.min(end, start + kind.maxBytes);
  const lineEnd = findLineEnd(bytes, start, limit);
  if (lineEnd === 'bare') return refused('malformed', 'CR or LF alone (2.1)');
  if (lineEnd === undefined) {
    return end - start < kind.maxBytes
      ? incomplete(end - start + 1)
      : refused('too-long', `no CRLF within ${kind.maxBytes} bytes (2.1)`);
  }

  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    'latin1',
    start,
    lineEnd,
  );
  const unknown = { version: 1, source: undefined, destination: undefined, tlvs: [] } as const;
  const behind = lineEnd + 2;
  if (kind.family === 0) {
    const isWord = text.length === kind.start.length || text[kind.start.length] === ' ';
    return isWord
      ? { kind: 'header', header: unknown, end: behind }
      : refused('malformed', 'no such word as UNKNOWN… (2.1)');
  }
  const [from = '', to = '', fromPort = '', toPort = '', ...rest] = text.slice(kind.start.length).split(' ');
  const source = endpoint(from, fromPort, kind.family);
  const destination = endpoint(to, toPort, kind.family);
  if (source === undefined || destination === undefined || rest.length > 0) {
    return refused('malformed', `not two IPv${kind.family} addresses and two ports (2.1)`);
  }
  return { kind: 'header', header: { version: 1, source, destination, tlvs: [] }, end: behind };
}

/** Does what is there agree with `text`? */
function beginsWith(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  const known = Math.min(end - start, text.length);
  for (let i = 0; i < known; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Offset of the CR of the first CRLF; `bare` when one of the two stands alone before it. */
function findLineEnd(bytes: Uint8Array, start: number, limit: number): number | 'bare' | undefined {
  for (let i = start; i < limit; i++) {
    if (bytes[i] === LF) return 'bare';
    if (bytes[i] !== CR) continue;
    if (i + 1 === limit) return undefined;
    return bytes[i + 1] === LF ? i : 'bare';
  }
  return undefined;
}

const words = newIpWords();

function endpoint(address: string, port: string, family: 4 | 6): Endpoint | undefined {
  const isWritten =
    family === 4 ? !address.includes(':') : /^[0-9a-fA-F:.]+$/.test(address) && address.includes(':');
  if (!isWritten || parseIp(address, words) === 0) return undefined;
  if (!/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return undefined;
  return { address, port: Number(port) };
}
