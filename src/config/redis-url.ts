/** Where Redis is, in the one URL that the file and the flags take. */

interface RedisHost {
  /** IP literal without brackets, or a name. */
  readonly host: string;
  readonly port: number;
}

export interface RedisEndpoint {
  /** `sentinel` asks the hosts for the master; `cluster` learns the other nodes from them. */
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** One for `single`, at least one otherwise. */
  readonly hosts: readonly RedisHost[];
  /** What the sentinels call the master; empty without sentinels. */
  readonly master: string;
  /** Number of the database; 0 in a cluster. */
  readonly db: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** Paths of PEM files; undefined without TLS. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
  /** The URL without credentials and parameters: the only form of it that may be shown. */
  readonly label: string;
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
const HOSTS_MAX = 64;
const PARAMETERS = ['ca', 'cert', 'key', 'sentinelUsername', 'sentinelPassword'];

export const redisSchemes = ['', '+sentinel', '+cluster'].flatMap((kind) => [
  `redis${kind}`,
  `rediss${kind}`,
]);

const SHAPE =
  /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^@?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?$/;

/**
 * Reads
 *
 *     redis://[user:password@]host[:port][/db]
 *     redis+sentinel://[user:password@]host[:port],host[:port].../master[/db]
 *     redis+cluster://[user:password@]host[:port],host[:port]...
 *
 * `rediss` in place of `redis` is TLS. User and password are percent-encoded. After `?`: `ca`, `cert` and `key` name
 * PEM files for TLS; `sentinelUsername` and `sentinelPassword` are for the sentinels, where they ask for one.
 * @throws Error whose message completes the sentence "the address …"; it quotes nothing, because without its `@`
 * a password stands where the host should
 */
export function parseRedisUrl(text: string): RedisEndpoint {
  const [, scheme, variant, login, authority, path = '', query = ''] = SHAPE.exec(text) ?? [];
  if (scheme === undefined || authority === undefined) {
    throw new Error('must look like redis://host:6379; encode @ and / of a password as %40 and %2F');
  }
  const kind = variant === 'sentinel' || variant === 'cluster' ? variant : 'single';
  const hosts = authority
    .split(',')
    .map((one) => parseHost(one, kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT));
  if (kind === 'single' && hosts.length > 1) {
    throw new Error('names several hosts; use redis+sentinel:// or redis+cluster://');
  }
  if (hosts.length > HOSTS_MAX) throw new Error(`names more than ${HOSTS_MAX} hosts`);
  const { ca, cert, key, sentinelUsername, sentinelPassword } = parseParameters(query);
  if (scheme === 'redis' && (ca ?? cert ?? key) !== undefined)
    throw new Error('names files for TLS; use rediss://');
  return {
    kind,
    hosts,
    ...parsePath(kind, path),
    ...parseLogin(login),
    sentinelUsername,
    sentinelPassword,
    tls: scheme === 'redis' ? undefined : { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    label: `${scheme}${variant ? `+${variant}` : ''}://${authority}${path ? `/${path}` : ''}`,
  };
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const [, host, port] = HOST.exec(text) ?? [];
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535)
    throw new Error('has a host that is not name:port');
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

function parsePath(kind: RedisEndpoint['kind'], path: string): { master: string; db: number } {
  const parts = path === '' ? [] : path.split('/');
  const master = kind === 'sentinel' ? decode(parts.shift() ?? '') : '';
  if (kind === 'sentinel' && master === '') {
    throw new Error("needs the master's name: redis+sentinel://host:26379/mymaster");
  }
  const [db = '0', ...more] = parts;
  if (more.length > 0 || !/^\d{1,5}$/.test(db)) {
    throw new Error('ends in something else than a database number');
  }
  if (kind === 'cluster' && Number(db) !== 0) {
    throw new Error('names a database; a Redis cluster has only 0');
  }
  return { master, db: Number(db) };
}

function parseLogin(login: string | undefined): Pick<RedisEndpoint, 'username' | 'password'> {
  if (login === undefined) return { username: undefined, password: undefined };
  const colon = login.indexOf(':');
  if (colon === -1) throw new Error('has credentials that are not user:password@ or :password@');
  return {
    username: decode(login.slice(0, colon)) || undefined,
    password: decode(login.slice(colon + 1)) || undefined,
  };
}

function parseParameters(query: string): Readonly<Record<string, string | undefined>> {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name)) throw new Error(`knows after '?' only ${PARAMETERS.join(', ')}`);
  }
  return Object.fromEntries(parameters);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a part whose percent-encoding is broken');
  }
}
