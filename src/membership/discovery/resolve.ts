import { lookup, Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BreakwaterError } from '../../base/errors.ts';
import { parseHosts } from './hosts-file.ts';
import { candidatesOf, parseSearchDomains } from './search-domains.ts';

/**
 * All addresses of a host, at least one, those of IPv4 first; or those of one family.
 * @throws BreakwaterError NAME_UNRESOLVED, soon in any case; its cause has the code, such as `ENOTFOUND`
 */
type ResolveHost = (host: string, family?: 4 | 6) => Promise<readonly string[]>;

export interface ResolveOptions {
  readonly hostsFile?: string;
  readonly resolvConf?: string;
  /** `address:port` of DNS servers; absent: the system's. */
  readonly servers?: readonly string[];
  /** For the whole of it. */
  readonly timeoutMs?: number;
  /** Asks the system, for names that no DNS server knows, such as those of mDNS. It cannot be called back. */
  readonly askSystem?: ResolveHost;
}

const LOOPBACK = ['127.0.0.1', '::1']; // RFC 6761, 6.3
const TIMEOUT_MS = 2_000;
/** One query to one server; there is a second try. */
const QUERY_TIMEOUT_MS = 900;
/** So long the addresses of one family are waited for when those of the other are there: some servers answer one only. */
const OTHER_FAMILY_MS = 300;
/** There is no such name, or no server to ask: the system answers as soon. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EBADNAME']);

/**
 * Host names to addresses, by the hosts file and DNS with its search domains, as the system does. `getaddrinfo` itself has a
 * thread of Node's pool for as long as a DNS server is silent, with whom files, the log and the end of the process
 * then wait. It is asked last, for names that are known in other ways, and only when DNS has answered.
 */
export function createResolve(options: ResolveOptions = {}): ResolveHost {
  const { hostsFile = '/etc/hosts', resolvConf = '/etc/resolv.conf', timeoutMs = TIMEOUT_MS } = options;
  const { askSystem = askGetaddrinfo } = options;
  let isSystemAsked = false;

  async function fromHosts(name: string, family?: 4 | 6): Promise<readonly string[]> {
    const known = parseHosts(await read(hostsFile)).get(name) ?? (isLocalhost(name) ? LOOPBACK : []);
    return family === undefined ? known : known.filter((address) => isIP(address) === family);
  }

  async function fromDns(
    name: string,
    family: 4 | 6 | undefined,
    resolver: Resolver,
  ): Promise<readonly string[]> {
    const candidates = candidatesOf(name, parseSearchDomains(await read(resolvConf)));
    let failure: unknown;
    for (const candidate of candidates) {
      try {
        return await query(resolver, candidate, family);
      } catch (error) {
        if (failure === undefined || ABSENT.has(codeOf(failure))) failure = error;
      }
    }
    throw failure;
  }

  /** One at a time, so that a system that hangs holds one thread. */
  async function fromSystem(
    name: string,
    family: 4 | 6 | undefined,
    why: unknown,
  ): Promise<readonly string[]> {
    if (isSystemAsked || !ABSENT.has(codeOf(why))) throw why;
    isSystemAsked = true;
    return askSystem(name, family).finally(() => {
      isSystemAsked = false;
    });
  }

  async function find(
    name: string,
    family: 4 | 6 | undefined,
    resolver: Resolver,
  ): Promise<readonly string[]> {
    const known = await fromHosts(name, family);
    if (known.length > 0) return known;
    return fromDns(name, family, resolver).catch((error) => fromSystem(name, family, error));
  }

  return async (host, family) => {
    if (isIP(host) !== 0) return [host];
    const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: 2 });
    if (options.servers !== undefined) resolver.setServers(options.servers);
    const stopWaiting = new AbortController();
    try {
      const late = sleep(timeoutMs, undefined, { signal: stopWaiting.signal, ref: false }).then(() => {
        throw Object.assign(new Error('no answer'), { code: 'ETIMEOUT' });
      });
      return ordered(await Promise.race([find(host.toLowerCase(), family, resolver), late]));
    } catch (error) {
      throw new BreakwaterError('NAME_UNRESOLVED', `${host} does not resolve (${codeOf(error)})`, {
        cause: error,
      });
    } finally {
      stopWaiting.abort();
      resolver.cancel();
    }
  };
}

/** One for the process. */
export const resolveHost: ResolveHost = createResolve();

function query(resolver: Resolver, name: string, family: 4 | 6 | undefined): Promise<readonly string[]> {
  if (family === undefined) return queryBoth(resolver, name);
  return family === 4 ? resolver.resolve4(name) : resolver.resolve6(name);
}

/** Rejects where there is neither an A nor an AAAA record. */
async function queryBoth(resolver: Resolver, name: string): Promise<string[]> {
  const questions = [resolver.resolve4(name), resolver.resolve6(name)];
  const first = await Promise.any(questions).catch((all: AggregateError) => {
    throw all.errors.find((error) => !ABSENT.has(codeOf(error))) ?? all.errors[0];
  });
  const waited = sleep(OTHER_FAMILY_MS, [] as string[], { ref: false });
  const answers = await Promise.all(
    questions.map((question) => Promise.race([question.catch(() => []), waited])),
  );
  return [...new Set([...answers.flat(), ...first])];
}

async function askGetaddrinfo(host: string, family?: 4 | 6): Promise<readonly string[]> {
  return (await lookup(host, { all: true, family: family ?? 0 })).map(({ address }) => address);
}

function ordered(addresses: readonly string[]): string[] {
  return [4, 6].flatMap((family) => addresses.filter((address) => isIP(address) === family));
}

function isLocalhost(name: string): boolean {
  return /^(.*\.)?localhost\.?$/.test(name);
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
}
