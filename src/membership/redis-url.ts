import { readFileSync } from 'node:fs';
import { BreakwaterError, messageOf } from '../errors.ts';

/**
 * Where Redis is, from one URL:
 *
 *     redis://[user:password@]host[:port][/db]
 *     redis+sentinel://[user:password@]host[:port],host[:port].../mastername[/db]
 *     redis+cluster://[user:password@]host[:port],host[:port]...
 *
 * `rediss` in place of `redis` is TLS. User and password are percent-encoded. After `?`: `ca`, `cert` and `key` are
 * PEM files for TLS; `sentinelUsername` and `sentinelPassword` are for the sentinels, where they ask for one.
 */
export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly hosts: readonly RedisHost[];
  /** What the sentinels call the master. */
  readonly master: string;
  readonly db: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** PEM; undefined without TLS. */
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined;
  /** The URL without credentials and parameters: the only form of it that may be shown. */
  readonly label: string;
}

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;
const HOSTS_MAX = 64;
const PARAMETERS = ['ca', 'cert', 'key', 'sentinelUsername', 'sentinelPassword'];

/** @throws BreakwaterError CONFIG_INVALID, which never shows the URL: it may hold a password */
export function parseRedisUrl(url: string): RedisTarget {
  const form =
    /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
  const match = form.exec(url);
  if (!match) {
    throw invalid(
      'it must be redis://host:port, redis+sentinel://host:port,.../master or redis+cluster://host:port,...; percent-encode the password',
    );
  }
  const [, scheme, variant, login, authority = '', path = '', query = ''] = match;
  const kind = variant === 'sentinel' || variant === 'cluster' ? variant : 'single';
  const hosts = authority
    .split(',')
    .map((each) => hostOf(each, kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT));
  if (kind === 'single' && hosts.length > 1) {
    throw invalid('several hosts need redis+sentinel:// or redis+cluster://');
  }
  if (hosts.length > HOSTS_MAX) throw invalid(`at most ${HOSTS_MAX} hosts are read`);
  const { master, db } = pathOf(kind, path);
  const [username, password] = login === undefined ? [] : loginOf(login);
  const parameters = parametersOf(query);
  return {
    kind,
    hosts,
    master,
    db,
    username,
    password,
    sentinelUsername: parameters.get('sentinelUsername') ?? undefined,
    sentinelPassword: parameters.get('sentinelPassword') ?? undefined,
    tls: scheme === 'rediss' ? tlsOf(parameters) : undefined,
    label: `${scheme}${variant ? `+${variant}` : ''}://${authority}${path ? `/${path}` : ''}`,
  };
}

function hostOf(text: string, defaultPort: number): RedisHost {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? defaultPort);
  if (host === undefined || port < 1 || port > 65_535)
    throw invalid('each host must be host, host:port or [IPv6]:port');
  return { host, port };
}

function pathOf(kind: RedisTarget['kind'], path: string): { master: string; db: number } {
  const parts = path === '' ? [] : path.split('/');
  const master = kind === 'sentinel' ? decode(parts.shift() ?? '') : '';
  if (kind === 'sentinel' && master === '')
    throw invalid('redis+sentinel:// must name its master: .../mastername');
  const [db = '0', ...rest] = parts;
  if (rest.length > 0 || !/^\d{1,5}$/.test(db)) throw invalid('the database must be a number, such as /0');
  if (kind === 'cluster' && db !== '0') throw invalid('a Redis Cluster has database 0 only');
  return { master, db: Number(db) };
}

/** `user:password` or `:password`. */
function loginOf(login: string): [string | undefined, string | undefined] {
  const colon = login.indexOf(':');
  if (colon === -1) throw invalid('credentials must be user:password@ or :password@');
  return [decode(login.slice(0, colon)) || undefined, decode(login.slice(colon + 1)) || undefined];
}

function parametersOf(query: string): URLSearchParams {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name)) throw invalid(`after "?" only ${PARAMETERS.join(', ')} are known`);
  }
  return parameters;
}

function tlsOf(parameters: URLSearchParams): NonNullable<RedisTarget['tls']> {
  const files = ['ca', 'cert', 'key'].flatMap((name) => {
    const path = parameters.get(name);
    return path === null ? [] : [[name, pem(name, path)]];
  });
  return Object.fromEntries(files);
}

function pem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(`its parameter ${name} cannot be read (${messageOf(error)})`);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('its percent-encoding is broken');
  }
}

function invalid(problem: string): BreakwaterError {
  return new BreakwaterError('CONFIG_INVALID', `membership.url cannot be used: ${problem}`);
}
