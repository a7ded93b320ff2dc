import { createServer, isIP } from 'node:net';
import { BreakwaterError, type ErrorCode, messageOf } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { Finding } from '../config/problems.ts';
import { configError } from '../config/source.ts';
import { checkTls, checkTransparent, chooseEngine, recordsFault } from '../engine/create.ts';
import type { EngineName } from '../engine/engine.ts';
import { redisTarget } from '../membership/store/redis-target.ts';
import { threadsWanted } from './identity.ts';

/** Below it a port takes a privilege (ip_unprivileged_port_start). */
const FIRST_FREE_PORT = 1024;

/**
 * Finds what a configuration needs and this machine does not have: an engine, addresses, files. It is asked before
 * anything is started, and by `breakwater check`.
 */
export async function findMachineProblems(config: Config): Promise<Finding[]> {
  return [
    ...findEngineProblems(config),
    ...findStoreProblems(config),
    ...(await findForeignAddresses(config)),
  ];
}

/** @throws ConfigError with all of them */
export async function checkMachine(config: Config): Promise<void> {
  const found = await findMachineProblems(config);
  if (found.length > 0) throw configError(config, found);
}

/** What works otherwise on this machine than the configuration reads. */
export function findMachineWarnings(config: Config): Finding[] {
  const why = speaksTls(config) ? recordsFault(engineOf(config)) : undefined;
  if (why === undefined) return [];
  return [{ path: ['proxy', 'engine'], message: `TLS records are left to OpenSSL: ${why}` }];
}

/** Does an engine speak TLS, to devices or to nodes? HTTP is not its business. */
function speaksTls({ listeners, pools }: Config): boolean {
  return (
    listeners.some(({ url, tls }) => tls !== undefined && !url.startsWith('https:')) ||
    pools.some(
      ({ nodes, discovery, upstream }) =>
        upstream.tls !== undefined ||
        nodes.some(({ url }) => url.startsWith('mqtts:')) ||
        discovery.some(({ scheme }) => scheme === 'mqtts'),
    )
  );
}

function engineOf({ proxy }: Config): EngineName {
  return chooseEngine(proxy.engine, threadsWanted(proxy)).name;
}

function findEngineProblems(config: Config): Finding[] {
  const { pools } = config;
  let engine: EngineName;
  try {
    engine = engineOf(config);
    if (speaksTls(config)) checkTls(engine);
  } catch (error) {
    return [toFinding(['proxy', 'engine'], error)];
  }
  return pools.flatMap(({ name, upstream }) => {
    if (!upstream.transparent) return [];
    try {
      checkTransparent(engine);
      return [];
    } catch (error) {
      return [toFinding(['pools', name, 'upstream', 'transparent'], error)];
    }
  });
}

/** The files that the URL of a Redis names. */
function findStoreProblems({ membership }: Config): Finding[] {
  if (membership.store !== 'redis') return [];
  try {
    redisTarget(membership.url);
    return [];
  } catch (error) {
    const { path, message } = toFinding(['membership', 'url'], error);
    return [{ path, message: message.replace('membership.url: ', '') }];
  }
}

function toFinding(path: Finding['path'], error: unknown): Finding {
  const code: ErrorCode = error instanceof BreakwaterError ? error.code : 'CONFIG_INVALID';
  return { path, message: messageOf(error), code };
}

/** An address that is to be ours: to listen at, or (port 0) to dial from. */
interface Own {
  readonly path: Finding['path'];
  readonly host: string;
  readonly port: number;
}

async function findForeignAddresses({ listeners, admin, pools }: Config): Promise<Finding[]> {
  const own: Own[] = [
    ...listeners.map(({ host, port }, index) => ({ path: ['listeners', index, 'url'], host, port })),
    { path: ['admin', 'url'], host: admin.host, port: admin.port },
    ...pools.flatMap(({ name, upstream }) =>
      upstream.sourceAddresses.map((host, index) => ({
        path: ['pools', name, 'upstream', 'sourceAddresses', index],
        ...{ host, port: 0 },
      })),
    ),
  ];
  const known = new Map<string, Promise<string | undefined>>();
  const faults = own.map(({ host, port }) => {
    const tried = port < FIRST_FREE_PORT ? port : 0; // whether a free port is taken is seen when it is bound
    const key = `${host} ${tried}`;
    const fault = known.get(key) ?? bindFault(host, tried);
    known.set(key, fault);
    return fault;
  });
  const messages = await Promise.all(faults);
  return own.flatMap(({ path }, at) => {
    const message = messages[at];
    return message === undefined ? [] : [{ path, message }];
  });
}

/** Why nothing can be bound at an address, as far as it is no other program's; undefined where something can. */
function bindFault(host: string, port: number): Promise<string | undefined> {
  if (isIP(host) === 0)
    return Promise.resolve(`${host} is a name; give an IP address of this machine, or localhost`);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(faults[code]?.(host, port)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const faults: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRNOTAVAIL: (host) => `${host} is no address of this machine; give one that is`,
  EAFNOSUPPORT: (host) => `${host}: this machine has no IPv6; give an IPv4 address`,
  EINVAL: (host) => `${host} is no address that can be bound; give another`,
  EACCES: (_host, port) => `port ${port} takes the capability CAP_NET_BIND_SERVICE; choose one from 1024 on`,
};
