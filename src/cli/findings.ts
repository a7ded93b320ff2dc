import type { CrlView, NodeView, PoolView, StatusView } from '../admin/backend.ts';
import { spreadOf } from '../migration/rebalance.ts';
import { certificateWarning, crlWarning } from '../proxy/certificate-expiry.ts';

/** What is wrong with a proxy and its cluster, read from what the admin API tells. */

export interface Finding {
  readonly what: string;
  /** The command, or the change, that helps. */
  readonly help: string;
}

interface Looked {
  readonly status: StatusView;
  readonly nodes: readonly NodeView[];
  readonly pools: readonly PoolView[];
}

/** Parts of the fair share between the fullest and the emptiest node that devices coming and going do not explain. */
const UNEVEN_SPREAD = 0.5;
/** Connections a node; with fewer, chance alone makes a pool uneven. */
const UNEVEN_LEAST = 20;

/** The most urgent first. */
export function findingsOf({ status, nodes, pools }: Looked, nowMs: number): Finding[] {
  return [
    ...stuckThreads(status),
    ...failingThreads(status),
    ...drainedProxy(status),
    ...pools.flatMap((pool) =>
      withoutNodes(
        pool,
        nodes.filter((node) => node.pool === pool.name),
      ),
    ),
    ...nodes.filter((node) => node.state === 'enabled' && node.health === 'unhealthy').map(unhealthy),
    ...notAccepting(status, nodes),
    ...storeAway(status),
    ...lostProxies(status),
    ...status.certificates.flatMap((certificate) => expiring(certificate, nowMs)),
    ...status.crls.flatMap((crl) => crlFinding(crl, nowMs)),
    ...fewDescriptors(status),
    ...lostLog(status),
    ...pools.flatMap((pool) => uneven(pool, nodes)),
  ];
}

function stuckThreads({ silentThreads, proxy }: StatusView): Finding[] {
  return silentThreads.map((thread) => ({
    what: `data thread ${thread} does not answer: its devices wait`,
    help: `the log names the connection that it is at; if it stays so: kill ${proxy.pid} on ${proxy.host}, and start it again`,
  }));
}

function failingThreads({ failingThreads: failing, proxy }: StatusView): Finding[] {
  return failing.map((thread) => ({
    what: `data thread ${thread} dies again and again: each time its devices are cut off, and the proxy is not ready`,
    help: `the log says of what (data thread died); breakwater events --kind thread; if a restart does not help, take ${proxy.id} out and report it`,
  }));
}

function drainedProxy({ proxy }: StatusView): Finding[] {
  if (proxy.state !== 'draining') return [];
  const what = `proxy ${proxy.id} is drained: it is not ready, and its devices leave`;
  return [{ what, help: `breakwater proxy enable ${proxy.id}` }];
}

function withoutNodes({ name }: PoolView, nodes: readonly NodeView[]): Finding[] {
  const enabled = nodes.filter(({ state }) => state === 'enabled');
  const [first] = nodes;
  if (first === undefined)
    return [{ what: `pool ${name} has no node`, help: `breakwater node add URL --pool ${name}` }];
  if (enabled.length === 0)
    return [{ what: `no node of pool ${name} is enabled`, help: `breakwater node enable ${first.id}` }];
  if (enabled.some(({ health }) => health !== 'unhealthy')) return [];
  const what = `no node of pool ${name} is healthy: all of them are tried (panic mode)`;
  return [{ what, help: `breakwater node inspect ${enabled[0]?.id}` }];
}

function unhealthy({ id, healthSince, healthCause }: NodeView): Finding {
  const since = healthSince === undefined ? '' : ` since ${healthSince}`;
  const cause = healthCause === undefined ? '' : `: ${healthCause}`;
  return { what: `node ${id} is unhealthy${since}${cause}`, help: `breakwater node inspect ${id}` };
}

/** Whatever else keeps it from being ready has a finding of its own. */
function notAccepting({ ready, ...status }: StatusView, nodes: readonly NodeView[]): Finding[] {
  const hasTaker = nodes.some(({ state, health }) => state === 'enabled' && health !== 'unhealthy');
  const isDrained = status.proxy.state === 'draining';
  const isToldOf = isDrained || status.silentThreads.length + status.failingThreads.length > 0;
  if (ready || !hasTaker || isToldOf) return [];
  return [{ what: 'the proxy accepts no devices: it is starting or stopping', help: 'breakwater status' }];
}

function storeAway({ store }: StatusView): Finding[] {
  if (store.up) return [];
  const since = store.since === undefined ? '' : ` since ${store.since}`;
  const cause = store.cause === undefined ? '' : ` (${store.cause})`;
  const what = `the membership store (${store.kind}) is away${since}${cause}: devices go on, and no node can be changed`;
  return [{ what, help: 'redis-cli -u URL ping, with the URL of membership.url' }];
}

/** Its devices connect to another one by themselves, where something before the proxies sends them there. */
function lostProxies({ lostProxies: lost, proxy }: StatusView): Finding[] {
  return lost.map(({ id, since, connections }) => ({
    what: `proxy ${id} has vanished: no heartbeat since ${since}, ${connections} devices were there`,
    help: `look at its machine and its log, and start it again; ${proxy.id} and the others go on`,
  }));
}

function expiring(
  { listener, subject, notAfter }: StatusView['certificates'][number],
  nowMs: number,
): Finding[] {
  const warning = certificateWarning(notAfter, nowMs);
  if (warning === undefined) return [];
  return [
    {
      what: `the certificate of ${listener} (${subject}) ${warning}`,
      help: 'write the new certificate and key to the files of its tls.cert and tls.key; breakwater reload takes them',
    },
  ];
}

const crlConsequences: Readonly<Record<CrlView['state'], string>> = {
  valid: '',
  expired: ': no device with a certificate is let in',
  tolerated: ': it is used as it is',
};

function crlFinding({ listener, issuer, nextUpdate, state }: CrlView, nowMs: number): Finding[] {
  const warning = nextUpdate && crlWarning(nextUpdate, nowMs);
  if (!warning) return [];
  return [
    {
      what: `the revocation list of ${issuer} at ${listener} ${warning}${crlConsequences[state]}`,
      help: 'write the new list to the file of its tls.crl; breakwater reload takes it',
    },
  ];
}

function lostLog({ logLoss, proxy }: StatusView): Finding[] {
  if (logLoss === undefined) return [];
  const what = `the log is not taken (${logLoss.reason}): ${logLoss.lines} lines are lost; devices go on`;
  const help =
    logLoss.reason === 'ENOSPC' ? 'df shows which disk is full: make room' : 'look at what reads the log';
  return [{ what, help: `${help}, on ${proxy.host}` }];
}

function fewDescriptors({ descriptorShortage: shortage }: StatusView): Finding[] {
  if (shortage === undefined) return [];
  const { limit, needed, maxConnections } = shortage;
  return [
    {
      what: `the process may open ${limit} files, and limits.maxConnections takes ${needed}: it takes ${maxConnections} devices`,
      help: `LimitNOFILE=${needed} in its unit, or ulimit -n ${needed}, then start it again; or limits.maxConnections: ${maxConnections}`,
    },
  ];
}

/** The hashes place devices by their ids and addresses: how even that is, weights say. */
function uneven({ name, strategy }: PoolView, nodes: readonly NodeView[]): Finding[] {
  if (strategy.endsWith('-hash')) return [];
  const takers = nodes
    .filter(({ pool, state, health }) => pool === name && state === 'enabled' && health !== 'unhealthy')
    .map(({ id, weight, connections: count }) => ({ id, weight, count }));
  const total = takers.reduce((sum, { count }) => sum + count, 0);
  const spread = spreadOf(takers);
  if (total < UNEVEN_LEAST * takers.length || spread <= UNEVEN_SPREAD) return [];
  const percent = Math.round(spread * 100);
  const what = `pool ${name} is uneven: its fullest and its emptiest node differ by ${percent}% of the fair share`;
  return [{ what, help: `breakwater rebalance --pool ${name}` }];
}
