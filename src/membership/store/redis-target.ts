import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { BreakwaterError, messageOf } from '../../base/errors.ts';
import { parseRedisUrl, type RedisEndpoint } from '../../config/redis-url.ts';
import { lookupBy, type Resolve } from '../../protocol/address/lookup.ts';

/** Where Redis is, with the PEM files read. Of it, only `label` may be shown. */
export interface RedisTarget extends Omit<RedisEndpoint, 'tls'> {
  /** Undefined without TLS. */
  readonly tls:
    | {
        readonly ca?: Buffer;
        readonly cert?: Buffer;
        readonly key?: Buffer;
        readonly lookup?: LookupFunction;
      }
    | undefined;
}

/** @throws BreakwaterError CONFIG_INVALID, which does not show the URL: it may hold a password */
export function redisTarget(url: string): RedisTarget {
  try {
    const { tls, ...endpoint } = parseRedisUrl(url);
    const files = Object.entries(tls ?? {}).map(([name, path]) => [name, readPem(path)]);
    return { ...endpoint, tls: tls && Object.fromEntries(files) };
  } catch (error) {
    // Without its cause: errors of file and URL parsing may carry the whole address.
    throw new BreakwaterError('CONFIG_INVALID', `membership.url: the address ${messageOf(error)}`);
  }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`names a file that cannot be read: ${messageOf(error)}`);
  }
}

/**
 * The same Redis at the addresses of its hosts, so that no resolver of the system is waited for when the connection is given
 * up. With TLS names stay, because certificates name them; they are looked up likewise.
 */
export async function locate(target: RedisTarget, resolve: Resolve): Promise<RedisTarget> {
  if (target.tls !== undefined) return { ...target, tls: { ...target.tls, lookup: lookupBy(resolve) } };
  const found = await Promise.allSettled(target.hosts.map(({ host }) => resolve(host)));
  const hosts = found.flatMap((result, at) => {
    const { port } = target.hosts[at] ?? {};
    if (result.status === 'rejected' || port === undefined) return [];
    return result.value.map((host) => ({ host, port }));
  });
  const [failure] = found.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (hosts.length === 0) throw failure;
  return { ...target, hosts };
}

const SECRETS = ['password', 'sentinelPassword', 'username', 'sentinelUsername'] as const;

/** For what Redis and the network say: they may quote what they were sent. */
export function withoutSecrets(text: string, target: Pick<RedisTarget, (typeof SECRETS)[number]>): string {
  return SECRETS.reduce((shown, name) => {
    const secret = target[name];
    return secret ? shown.replaceAll(secret, '…') : shown;
  }, text);
}
