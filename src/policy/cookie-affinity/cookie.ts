import { formatCookies, parseCookies, splitSetCookie } from '../../protocol/http/cookies.ts';
import { createNodeMarks } from './node-mark.ts';

/**
 * Persistence by cookie: a device is sent to the node that its cookie names. `insert` sets a cookie of ours, which
 * nodes never see; `rewrite` puts the node's mark before the value of a cookie that the nodes set themselves, and takes
 * it off on the way in.
 */
export interface CookieOptions {
  readonly mode: 'insert' | 'rewrite';
  readonly name: string;
  /** How long a browser keeps an inserted cookie, counted anew with every answer; undefined: until it is closed. */
  readonly maxAgeSeconds: number | undefined;
  /** Of `deriveMarkKey`. */
  readonly key: string;
}

/** What a request says of where its device was. */
export interface Recalled {
  /** Ids of the nodes that it names, the first first; there is more than one only where paths of cookies differ. */
  readonly nodes: readonly string[];
  /** The Cookie header as the node is to see it; undefined: none. */
  readonly cookie: string | undefined;
  /** `rewrite`: the value of the nodes' own cookie, without a mark. */
  readonly value: string | undefined;
}

export interface CookiePersistence {
  readonly mode: 'insert' | 'rewrite';
  /** @param cookie the Cookie header of the request, if it has one */
  recall(cookie: string | undefined): Recalled;
  /**
   * The Set-Cookie headers of an answer.
   * @param setCookies those that the node gave; none where a node speaks no HTTP
   * @param secure the device came by TLS
   */
  answer(recalled: Recalled, node: string, setCookies: readonly string[], secure: boolean): readonly string[];
}

/** Between mark and value: allowed in cookies, and not in marks. */
const SEPARATOR = '~';
/** Cookies of our name that are opened: paths make a few of them, and each takes some ten microseconds. */
const MOST_OPENED = 8;
const nothing: Recalled = { nodes: [], cookie: undefined, value: undefined };

export function createCookiePersistence(options: CookieOptions): CookiePersistence {
  return options.mode === 'insert' ? insert(options) : rewrite(options);
}

/** Not for scripts, not from other sites' forms, and over TLS only where it came so. */
function ownCookie(name: string, value: string, secure: boolean, maxAgeSeconds?: number): string {
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`;
  return `${name}=${value}; Path=/${age}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
}

function insert({ name, maxAgeSeconds, key }: CookieOptions): CookiePersistence {
  const marks = createNodeMarks(key);
  return {
    mode: 'insert',
    recall(cookie) {
      if (cookie === undefined) return nothing;
      if (!cookie.includes(name)) return { ...nothing, cookie };
      const pairs = parseCookies(cookie);
      const own = pairs.filter((pair) => pair.name === name);
      const others = pairs.filter((pair) => pair.name !== name);
      return {
        nodes: own.slice(0, MOST_OPENED).flatMap(({ value }) => marks.open(value) ?? []),
        cookie: others.length === 0 ? undefined : formatCookies(others),
        value: undefined,
      };
    },
    answer({ nodes }, node, setCookies, secure) {
      if (nodes.includes(node) && maxAgeSeconds === undefined) return setCookies;
      return [...setCookies, ownCookie(name, marks.seal(node), secure, maxAgeSeconds)];
    },
  };
}

function rewrite({ name, key }: CookieOptions): CookiePersistence {
  const marks = createNodeMarks(key);

  const marked = (node: string, value: string): string =>
    value.startsWith('"')
      ? `"${marks.seal(node)}${SEPARATOR}${value.slice(1)}` // quotes stand around the whole (RFC 6265, 4.1.1)
      : `${marks.seal(node)}${SEPARATOR}${value}`;

  function unmarked(value: string): { node: string | undefined; value: string } {
    const quote = value.startsWith('"') ? '"' : '';
    const end = value.indexOf(SEPARATOR);
    const node = end < 0 ? undefined : marks.open(value.slice(quote.length, end));
    return node === undefined ? { node, value } : { node, value: quote + value.slice(end + 1) };
  }

  return {
    mode: 'rewrite',
    recall(cookie) {
      if (cookie === undefined) return nothing;
      if (!cookie.includes(name)) return { ...nothing, cookie };
      const nodes: string[] = [];
      let own: string | undefined;
      let opened = 0;
      const pairs = parseCookies(cookie).map((pair) => {
        if (pair.name !== name || opened++ >= MOST_OPENED) return pair;
        const { node, value } = unmarked(pair.value);
        if (node !== undefined) nodes.push(node);
        own ??= value;
        return { name, value };
      });
      return { nodes, cookie: formatCookies(pairs), value: own };
    },
    answer({ nodes, value }, node, setCookies, secure) {
      let isSet = false;
      const answered = setCookies.map((header) => {
        const pair = splitSetCookie(header);
        if (pair.name !== name) return header;
        isSet = true;
        // An empty value takes the cookie away.
        return pair.value === '' ? header : `${name}=${marked(node, pair.value)}${pair.attributes}`;
      });
      // Nodes that share their sessions go on with the value that another had set: only we know that the node is new.
      const isMoved = value !== undefined && value !== '' && !nodes.includes(node);
      return isSet || !isMoved ? answered : [...answered, ownCookie(name, marked(node, value), secure)];
    },
  };
}
