/** Cookies as they stand in messages (RFC 6265): read leniently, and whatever is not asked about stays as it came. */

/** One pair of a Cookie header. */
interface CookiePair {
  readonly name: string;
  /** With its quotes, where it has some. */
  readonly value: string;
}

/** The pairs of a Cookie header in their order (RFC 6265, 5.4); what is no pair has the name ''. */
export function parseCookies(header: string): CookiePair[] {
  return header
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(pairOf);
}

export function formatCookies(pairs: readonly CookiePair[]): string {
  return pairs.map(({ name, value }) => (name === '' ? value : `${name}=${value}`)).join('; ');
}

/** A Set-Cookie header in two: its pair, and its attributes as they came, with their `;` (RFC 6265, 5.2). */
export function splitSetCookie(header: string): CookiePair & { readonly attributes: string } {
  const end = header.indexOf(';');
  const pair = end < 0 ? header : header.slice(0, end);
  return { ...pairOf(pair.trim()), attributes: end < 0 ? '' : header.slice(end) };
}

/** A name is a token (RFC 6265, 4.1.1). */
export function isCookieName(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/.test(name);
}

function pairOf(text: string): CookiePair {
  const equals = text.indexOf('=');
  if (equals < 0) return { name: '', value: text };
  return { name: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() };
}
