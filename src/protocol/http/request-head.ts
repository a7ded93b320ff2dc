import { type RawFields, valuesOf } from './fields.ts';
import { matchablePath } from './path.ts';

/** The head of a request as the parser read it. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** `1.1` */
  readonly version: string;
  readonly fields: RawFields;
}

/** What a head asks for, once it is known to be one that every server reads alike. */
export interface Request {
  readonly method: string;
  /** Origin form, as it came: path and query; `*` for an OPTIONS of the whole server. */
  readonly target: string;
  /** Host and port, as asked for; '' in HTTP/1.0 without one. */
  readonly authority: string;
  /** For rules: in lower case and without port. */
  readonly host: string;
  /** For rules: without query, and without ways to write the same path otherwise. */
  readonly path: string;
  readonly isChunked: boolean;
  /** Of the body; 0: none, undefined: chunked. */
  readonly contentLength: number | undefined;
}

export interface Refusal {
  readonly status: 400 | 405 | 431 | 501 | 505;
  readonly detail: string;
}

/** As many as common servers take; the parser bounds the bytes. */
const MAX_FIELDS = 100;
/** RFC 3986, 3.2.2 and 3.2.3; no user information. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::\d{0,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)([/?][^#]*)?$/i;

/**
 * Reads what the parser leaves to us, strictly: whatever two servers could understand in two ways is refused, so that
 * no node sees another request than the one that was placed (RFC 9112, 11.2). The parser has refused before: a
 * Content-Length beside a Transfer-Encoding or another Content-Length, folded lines, bare CR and LF, and spaces in names.
 */
export function readHead({ method, target, version, fields }: RequestHead): Request | Refusal {
  if (version !== '1.1' && version !== '1.0') return { status: 505, detail: 'only HTTP/1.1 and HTTP/1.0' };
  if (fields.length / 2 > MAX_FIELDS) return { status: 431, detail: `more than ${MAX_FIELDS} header fields` };
  // TRACE would show a page the cookies that its scripts may not read; CONNECT asks for another kind of proxy.
  if (method === 'TRACE' || method === 'CONNECT') return { status: 405, detail: `no ${method}` };
  const body = readFraming(version, fields);
  if ('status' in body) return body;
  const hosts = valuesOf(fields, 'host');
  if (hosts.length > 1) return bad('more than one Host');
  if (hosts.length === 0 && version === '1.1') return bad('no Host');
  const place = readTarget(method, target, hosts[0] ?? '');
  if (place === undefined) return bad('the target is not a path');
  const [, host] = AUTHORITY.exec(place.authority) ?? [];
  if (host === undefined) return bad('the host is not one');
  const path = matchablePath(place.target);
  return { method, ...place, host: host.toLowerCase(), path, ...body };
}

function readTarget(method: string, target: string, host: string) {
  if (target.startsWith('/')) return { target, authority: host };
  if (target === '*') return method === 'OPTIONS' ? { target, authority: host } : undefined;
  const [whole, authority, rest = '/'] = ABSOLUTE.exec(target) ?? [];
  if (whole === undefined || authority === undefined || authority === '') return undefined;
  // The absolute form overrides Host (RFC 9112, 3.2.2).
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority };
}

function readFraming(version: string, fields: RawFields) {
  const codings = valuesOf(fields, 'transfer-encoding');
  const [length = '0', ...more] = valuesOf(fields, 'content-length');
  if (codings.length === 0) {
    const contentLength = Number(length);
    if (more.length > 0 || !/^\d{1,15}$/.test(length)) return bad('Content-Length is not one number');
    return { isChunked: false, contentLength };
  }
  if (version === '1.0') return bad('Transfer-Encoding in HTTP/1.0'); // RFC 9112, 6.1
  if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') {
    return { status: 501, detail: 'no Transfer-Encoding but chunked' } as const;
  }
  return { isChunked: true, contentLength: undefined };
}

function bad(detail: string): Refusal {
  return { status: 400, detail };
}
