import { isLoopback, parseAdminAddress } from './address.ts';
import { TOKEN_NAME } from './admin.ts';
import { type Finding, formatPath } from './problems.ts';
import { at, listOf, textAt } from './raw.ts';

/** What one value of `admin` says about another, in the raw file. Tokens are never quoted. */
export function findAdminProblems(raw: unknown): Finding[] {
  const admin = at(raw, 'admin');
  return [...openToAll(admin), ...sharedTokens(admin), ...sharedNames(admin)];
}

/** Does this part of the raw file name a token? */
export function hasToken(admin: unknown): boolean {
  return at(admin, 'token') !== undefined || entriesOf(at(admin, 'tokens')).length > 0;
}

function openToAll(admin: unknown): Finding[] {
  const parsed = parse(textAt(admin, 'url') ?? '');
  const isGuarded = hasToken(admin) || entriesOf(at(at(admin, 'tls'), 'clients')).length > 0;
  if (parsed === undefined || isLoopback(parsed.host) || isGuarded) return [];
  const { scheme, host, port } = parsed;
  const message = `${host} is not loopback, so the admin API needs a token: set admin.token or BREAKWATER_TOKEN, or use ${scheme}://127.0.0.1:${port}`;
  return [{ path: ['admin', 'url'], message, code: 'ADMIN_TOKEN_REQUIRED' }];
}

/** Two with one token could not be told apart, nor two of one name in the log. */
function sharedTokens(admin: unknown): Finding[] {
  const first = textAt(admin, 'token');
  const before = (value: string | undefined) =>
    new Map<string, string>(first === undefined || value === undefined ? [] : [[value, 'admin.token']]);
  const tokens = entriesOf(at(admin, 'tokens'));
  return [
    ...twice(tokens, 'name', ['admin', 'tokens'], before(TOKEN_NAME)),
    ...twice(tokens, 'token', ['admin', 'tokens'], before(first)),
  ];
}

function sharedNames(admin: unknown): Finding[] {
  return twice(entriesOf(at(at(admin, 'tls'), 'clients')), 'cn', ['admin', 'tls', 'clients'], new Map());
}

/** @param seen values that are taken, and by whom */
function twice(
  entries: readonly unknown[],
  key: string,
  path: readonly string[],
  seen: Map<string, string>,
): Finding[] {
  return entries.flatMap((entry, index) => {
    const value = textAt(entry, key);
    const other = value === undefined ? undefined : seen.get(value);
    if (value !== undefined && other === undefined) seen.set(value, formatPath([...path, index]));
    if (other === undefined) return [];
    return [{ path: [...path, index, key], message: `is that of ${other} too; choose another` }];
  });
}

function entriesOf(value: unknown): readonly unknown[] {
  return listOf(value) ?? [];
}

function parse(url: string) {
  try {
    return parseAdminAddress(url);
  } catch {
    return undefined; // the schema says so
  }
}
