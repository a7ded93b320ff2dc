import type { SrvRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { BreakwaterError } from '../../base/errors.ts';
import { formatAuthority } from '../../config/address.ts';
import type { DnsDiscoveryConfig } from '../../config/config.ts';
import { WEIGHT_DEFAULT, WEIGHT_MAX, WEIGHT_MIN } from '../../nodes/node.ts';
import { nodeSpec } from '../../nodes/spec.ts';
import type { DiscoveredNode, Discovery } from './discovery.ts';
import { nodeIdOf } from './node-id.ts';
import { Poll } from './poll.ts';
import { resolveHost } from './resolve.ts';

/** All addresses of a name, of one family. Rejects, never empty. */
type Lookup = (name: string, family: 4 | 6) => Promise<readonly string[]>;

/** One query to one server; there is a second try. The question as a whole has a bound of its own. */
const QUERY_TIMEOUT_MS = 1000;

/**
 * Every address of a name is a node, or every SRV record. An answer is taken as the whole truth: servers that give a
 * part of their addresses at a time make nodes come and go. No answer at all (also NXDOMAIN) leaves things as they
 * were and is a fault: a name that vanished is more often a mistake than the end of every broker.
 *
 * A and AAAA are resolved as host names are everywhere else here, with the hosts file and the search domains, without which
 * the short names of Docker and Kubernetes do not resolve. SRV records, and another server than the system's, are asked
 * of a DNS server directly.
 */
export function dnsDiscovery(config: DnsDiscoveryConfig, pool: string): Discovery {
  const { name, srv, scheme, port, family, intervalMs } = config;
  return new Poll(`dns ${name}`, intervalMs, async (signal) => {
    const resolver = newResolver(config.resolver, signal);
    const ask: Lookup =
      config.resolver === undefined ? resolveHost : (host, of) => askServer(resolver, host, of);
    const addressesOf = (host: string) => allAddresses(ask, host, family);
    if (srv) return serviceNodes(config, pool, await services(resolver, name), addressesOf);
    return (await addressesOf(name)).map((address) => {
      const authority = formatAuthority(address, port);
      return toNode({ id: nodeIdOf(`${name}-${address}:${port}`), url: `${scheme}://${authority}`, pool });
    });
  });
}

/** A new one for each question, because it reads `/etc/resolv.conf` only when it is made. */
function newResolver(server: string | undefined, signal: AbortSignal): Resolver {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  signal.addEventListener('abort', () => resolver.cancel(), { once: true });
  return resolver;
}

const askServer = (resolver: Resolver, name: string, family: 4 | 6) =>
  family === 4 ? resolver.resolve4(name) : resolver.resolve6(name);

async function allAddresses(ask: Lookup, name: string, family: 4 | 6 | undefined): Promise<string[]> {
  try {
    const found = await ask(name, family ?? 4).catch((error) => {
      if (family === undefined && isAbsent(error)) return ask(name, 6);
      throw error;
    });
    return [...new Set(found)].sort();
  } catch (error) {
    throw unresolved(name, error);
  }
}

/**
 * The records of the lowest priority: RFC 2782 lets the others wait until none of these is reachable.
 * A target of the root only, here empty, says that there is no such service.
 */
async function services(resolver: Resolver, name: string): Promise<SrvRecord[]> {
  const answer = await resolver.resolveSrv(name).catch((error) => {
    throw unresolved(name, error);
  });
  const records = answer.filter((record) => record.name !== '');
  const lowest = Math.min(...records.map(({ priority }) => priority));
  return records.filter(({ priority }) => priority === lowest);
}

/** A target that has no address is left out: it is a host that just went. When none has one, the answer is none. */
async function serviceNodes(
  { scheme }: DnsDiscoveryConfig,
  pool: string,
  records: readonly SrvRecord[],
  addressesOf: (host: string) => Promise<readonly string[]>,
): Promise<DiscoveredNode[]> {
  const heaviest = Math.max(...records.map(({ weight }) => weight));
  const found = await Promise.allSettled(records.map(({ name }) => addressesOf(name)));
  const nodes = new Map<string, DiscoveredNode>();
  for (const [index, { name, port, weight }] of records.entries()) {
    const result = found[index];
    if (result?.status === 'rejected' && !isAbsent(result.reason.cause)) throw result.reason;
    const address = result?.status === 'fulfilled' ? result.value[0] : undefined;
    if (address === undefined) continue;
    const id = nodeIdOf(`${name.toLowerCase()}:${port}`);
    const url = `${scheme}://${formatAuthority(address, port)}`;
    nodes.set(id, toNode({ id, url, pool, weight: nodeWeight(weight, heaviest) }));
  }
  if (nodes.size === 0) throw new Error('no target of its SRV records has an address');
  return [...nodes.values()];
}

/** From RFC 2782's 0 to 65535 to ours: as it is where all fit, else in proportion; without weights all are equal. */
function nodeWeight(weight: number, heaviest: number): number {
  if (heaviest === 0) return WEIGHT_DEFAULT;
  const share = heaviest <= WEIGHT_MAX ? weight : Math.round((weight / heaviest) * WEIGHT_MAX);
  return Math.max(WEIGHT_MIN, share);
}

function toNode(declared: { id: string; url: string; pool: string; weight?: number }): DiscoveredNode {
  return { spec: nodeSpec({ ...declared, source: 'dns' }), draining: false };
}

/** The name exists without such a record, or does not exist: another try finds nothing else. */
function isAbsent(error: unknown): boolean {
  return ['ENOTFOUND', 'ENODATA', 'EAI_ADDRFAMILY'].includes(codeOf(error));
}

function unresolved(name: string, cause: unknown): Error {
  return new Error(`${name} does not resolve (${codeOf(cause)})`, { cause });
}

function codeOf(error: unknown): string {
  const reason = error instanceof BreakwaterError ? error.cause : error;
  return (reason as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
}
