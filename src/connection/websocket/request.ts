/** Reads the head of an HTTP/1.1 request, strictly: what another reader might take otherwise is refused (RFC 9112). */

export interface RequestHead {
  readonly method: string;
  /** In origin form: path and query. */
  readonly target: string;
  /** By name in lower case; repeated fields are joined as one list (RFC 9110, 5.3). A host in the target is `host`. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Node's own limit. A page's cookies may fill half of it. */
export const MAX_HEAD_BYTES = 16_384;
/** Browsers send some 20. */
const MAX_FIELDS = 100;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const DELETE = 0x7f;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([A-Z]{1,32}) ([\x21-\x7e]+) HTTP\/1\.1$/;
/** As it is sent to a proxy; every server takes it (RFC 9112, 3.2.2). */
const ABSOLUTE = /^(?:https?|wss?):\/\/([^/?#]+)([/?].*)?$/i;

/** Where the head begins: one empty line before it is passed over (RFC 9112, 2.2). */
function startOfHead(bytes: Uint8Array): number {
  return bytes[0] === CR && bytes[1] === LF ? 2 : 0;
}

/**
 * Where the head ends that begins at 0, behind its empty line; -1 while that has not come.
 * @param searched up to where it was looked for before
 */
export function endOfHead(bytes: Buffer, length: number, searched: number): number {
  const found = bytes.subarray(0, length).indexOf('\r\n\r\n', Math.max(0, searched - 3), 'latin1');
  return found < 0 ? -1 : found + 4;
}

/** No request begins like this: MQTT or TLS was sent to this port. */
export function isNoRequest(bytes: Uint8Array, length: number): boolean {
  const start = startOfHead(bytes);
  if (start === length || (length === 1 && bytes[0] === CR)) return false; // nothing of it has come
  const first = bytes[start] as number;
  return first < 0x41 || first > 0x5a;
}

/** @returns the head, or undefined where it is malformed */
export function readHead(bytes: Buffer, end: number): RequestHead | undefined {
  const begin = startOfHead(bytes);
  let at = lineEnd(bytes, begin, end);
  const [, method, said] = REQUEST_LINE.exec(bytes.toString('latin1', begin, at)) ?? [];
  const place = said === undefined ? undefined : placeOf(said);
  if (method === undefined || place === undefined) return undefined;
  const fields = new Map<string, string>();
  for (let lines = 0; ; lines++) {
    const start = at + 2;
    at = lineEnd(bytes, start, end);
    if (at === start) {
      if (place.host !== undefined) fields.set('host', place.host);
      return { method, target: place.target, fields };
    }
    if (at < 0 || lines === MAX_FIELDS || !readField(bytes, start, at, fields)) return undefined;
  }
}

/** Both forms of a target; undefined for any other. */
function placeOf(said: string): { target: string; host: string | undefined } | undefined {
  if (said.startsWith('/')) return { target: said, host: undefined };
  const [, host, rest = '/'] = ABSOLUTE.exec(said) ?? [];
  return host === undefined ? undefined : { target: rest.startsWith('/') ? rest : `/${rest}`, host };
}

function readField(bytes: Buffer, start: number, end: number, fields: Map<string, string>): boolean {
  const colon = bytes.indexOf(COLON, start);
  if (colon < 0 || colon >= end) return false;
  const name = bytes.toString('latin1', start, colon).toLowerCase();
  if (!TOKEN.test(name)) return false; // also a line that is folded, or space before the colon
  let from = colon + 1;
  let to = end;
  while (from < to && isBlank(bytes[from])) from++;
  while (to > from && isBlank(bytes[to - 1])) to--;
  for (let at = from; at < to; at++) if (isControl(bytes[at] as number)) return false;
  const value = bytes.toString('latin1', from, to);
  const former = fields.get(name);
  fields.set(name, former === undefined ? value : `${former}${name === 'cookie' ? '; ' : ', '}${value}`);
  return true;
}

/** Where the line ends that begins at `start`; -1 where its LF stands alone. A CR alone is a control character. */
function lineEnd(bytes: Buffer, start: number, end: number): number {
  const lf = bytes.indexOf(LF, start);
  return lf > start && lf < end && bytes[lf - 1] === CR ? lf - 1 : -1;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function isControl(byte: number): boolean {
  return (byte < SPACE && byte !== TAB) || byte === DELETE;
}

/** Has a list such as `keep-alive, Upgrade` this word? Whatever its case. */
export function listHas(list: string | undefined, word: string): boolean {
  return list?.split(',').some((each) => each.trim().toLowerCase() === word) ?? false;
}
