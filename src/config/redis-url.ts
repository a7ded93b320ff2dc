/** Where Redis is, in the one URL that the file and the flags take. */

export interface RedisHost {
  /** IP literal without brackets, or a name. */
  readonly host: string;
  readonly port: number;
}

export interface RedisEndpoint {
  /** `sentinel` asks the hosts for the master; `cluster` learns the other nodes from them. */
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** One for `single`, at least one otherwise. */
  readonly hosts: readonly RedisHost[];
  /** What Sentinel calls the group; only there. */
  readonly masterName: string | undefined;
  /** For the Redis servers themselves, not for Sentinel. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Number of the database; 0 in a cluster. */
  readonly database: number;
}

export const redisSchemes = [
  'redis',
  'rediss',
  'redis+sentinel',
  'rediss+sentinel',
  'redis+cluster',
  'rediss+cluster',
] as const;

const MOST_HOSTS = 32;
const SHAPE = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^@?#]*))?$/;
const HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?$/;

/**
 * Reads `redis[s]://[user:password@]host[:port][/database]`, `redis[s]+sentinel://host[:port],…/master[/database]` or
 * `redis[s]+cluster://host[:port],…`. Characters of user and password that mean something in a URL are percent-encoded.
 * @throws Error whose message completes the sentence "the address …"; it never holds the credentials
 */
export function parseRedisUrl(text: string): RedisEndpoint {
  const [, scheme, cluster, credentials, hosts, path = ''] = SHAPE.exec(text) ?? [];
  if (scheme === undefined || hosts === undefined) {
    throw new Error('must look like redis://host:6379; encode @ and / of a password as %40 and %2F');
  }
  const kind = cluster === 'sentinel' || cluster === 'cluster' ? cluster : 'single';
  const many = hosts.split(',');
  if (kind === 'single' && many.length > 1) {
    throw new Error('names several hosts; use redis+sentinel:// or redis+cluster://');
  }
  if (many.length > MOST_HOSTS) throw new Error(`names more than ${MOST_HOSTS} hosts`);
  return {
    kind,
    tls: scheme === 'rediss',
    hosts: many.map((one) => parseHost(one, kind === 'sentinel' ? 26_379 : 6379)),
    ...parsePath(kind, path),
    ...parseCredentials(credentials),
  };
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const [, host, port] = HOST.exec(text) ?? [];
  const number = port === undefined ? defaultPort : Number(port);
  // not quoted: without its @ a password stands where the host should
  if (host === undefined || number < 1 || number > 65_535)
    throw new Error('has a host that is not name:port');
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

function parsePath(kind: RedisEndpoint['kind'], path: string) {
  const parts = path === '' ? [] : path.split('/');
  const masterName = kind === 'sentinel' ? parts.shift() : undefined;
  if (kind === 'sentinel' && !masterName) {
    throw new Error("needs the master's name: redis+sentinel://host:26379/mymaster");
  }
  const [database = '0', ...more] = parts;
  if (more.length > 0 || !/^\d{1,4}$/.test(database))
    throw new Error('ends in something else than a database number');
  if (kind === 'cluster' && Number(database) !== 0)
    throw new Error('names a database; a Redis cluster has only 0');
  return { masterName, database: Number(database) };
}

function parseCredentials(text: string | undefined): Pick<RedisEndpoint, 'username' | 'password'> {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const [, username = '', password] = /^([^:]*)(?::(.*))?$/.exec(text) ?? [];
  try {
    return {
      username: username === '' ? undefined : decodeURIComponent(username),
      password: password === undefined ? undefined : decodeURIComponent(password),
    };
  } catch {
    throw new Error('has a user or password that is not percent-encoded');
  }
}
