/** Characters that mean the same with percent-encoding and without (RFC 3986, 2.3 and 6.2.2.2). */
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/**
 * The path of a target as rules look at it: without query, unreserved characters decoded, without `.` and `..` segments
 * and doubled slashes (RFC 3986, 6.2.2), so that a rule on `/admin` is not passed by as `/x/../%61dmin`. What goes to
 * the node is the target as it came.
 */
export function matchablePath(target: string): string {
  const end = target.search(/[?#]/);
  const path = end < 0 ? target : target.slice(0, end);
  if (!/%|\/\.|\/\//.test(path)) return path;
  const decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (encoded, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : encoded.toUpperCase();
  });
  return withoutDots(decoded);
}

function withoutDots(path: string): string {
  const segments: string[] = [];
  const all = path.split('/');
  for (const [index, segment] of all.entries()) {
    const isLast = index === all.length - 1;
    if (segment === '..') segments.pop();
    else if (segment !== '.' && segment !== '') segments.push(segment);
    if (isLast && (segment === '' || segment === '.' || segment === '..') && segments.length > 0)
      segments.push('');
  }
  return `/${segments.join('/')}`;
}
