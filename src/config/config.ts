import type { DeviceRates, MovePolicy, RetryPolicy } from '../connection/connection-host.ts';
import type { UpgradeTerms } from '../connection/websocket/upgrade.ts';
import type { NodeSpec } from '../nodes/node.ts';
import { nodeSpec } from '../nodes/spec.ts';
import type { LimiterLimits } from '../policy/admission/connection-limiter.ts';
import type { ReconnectThrottleLimits } from '../policy/admission/reconnect-throttle.ts';
import type { StrategyName } from '../policy/balance/index.ts';
import type { ConnectRule } from '../policy/routing/rules.ts';
import type { V2Fields } from '../protocol/proxy-protocol/encode.ts';
import type { ProxyProtocolOptions } from '../protocol/proxy-protocol/expect.ts';
import { formatUrl, parseAddress, parseAdminAddress } from './address.ts';
import { type AdminConfig, toAdmin } from './admin.ts';
import { type HttpLimits, type HttpUpstream, toHttpLimits, toHttpUpstream } from './http.ts';
import { toSigning } from './membership.ts';
import { type PersistenceConfig, toPersistence } from './persistence.ts';
import { v2Fields } from './pools.ts';
import { toRule } from './rules.ts';
import type { Document } from './schema.ts';
import { type TlsConfig, toTls } from './tls.ts';
import { toUpstreamTls, type UpstreamTlsConfig } from './upstream-tls.ts';
import { toUpgradeTerms } from './websocket.ts';

/**
 * The configuration as the program reads it: validated, complete, frozen, and in the program's own units
 * (milliseconds and bytes, said last in each name). The file's own words and units are in `schema.ts`.
 */
export interface Config {
  readonly cluster: string;
  readonly proxy: ProxyConfig;
  /** At least one. */
  readonly listeners: readonly ListenerConfig[];
  /** At least one; names are unique and every name that a listener or rule uses is here. */
  readonly pools: readonly PoolConfig[];
  /** The first that matches decides; none: the listener's pool. */
  readonly rules: readonly RuleConfig[];
  readonly membership: MembershipConfig;
  readonly admin: AdminConfig;
  readonly limits: LimitsConfig;
  readonly log: { readonly level: Document['log']['level']; readonly format: 'json' | 'pretty' };
}

interface ProxyConfig {
  /** Absent: the program that starts the proxy makes one. */
  readonly id: string | undefined;
  readonly threads: number | 'auto';
  readonly engine: 'auto' | 'uring' | 'epoll' | 'node';
}

export interface ListenerConfig {
  readonly url: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly mode: Document['listeners'][number]['mode'];
  readonly pool: string;
  /** Instead of those in `LimitsConfig.limiter`. Absent: none. */
  readonly limits?: ListenerLimits | undefined;
  /** Absent: without TLS. */
  readonly tls?: TlsConfig | undefined;
  /** Absent: devices speak plain MQTT. */
  readonly websocket: UpgradeTerms | undefined;
  /** Any protocol, or TLS that passes through. Absent: MQTT. */
  readonly opaque: 'tcp' | 'tls' | undefined;
  /** Absent: no PROXY protocol header is looked for. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined;
  /** Addresses and CIDR blocks of proxies that stand before it. */
  readonly trustedProxies: readonly string[];
  /** `host:port` where devices reach it themselves. Absent: nobody is told. */
  readonly advertise: string | undefined;
  /** `host:port` of servers that devices are told to go to instead. */
  readonly neighbours: readonly string[];
}

export type ListenerLimits = Partial<Pick<LimiterLimits, 'connectRate' | 'maxConnectionsPerListener'>>;

export interface PoolConfig {
  readonly name: string;
  readonly strategy: StrategyName;
  readonly persistence: PersistenceConfig;
  /** 0: at once. */
  readonly slowStartMs: number;
  readonly health: HealthConfig;
  readonly upstream: UpstreamConfig;
  readonly nodes: readonly NodeSpec[];
  readonly discovery: readonly DiscoveryConfig[];
}

export type DiscoveryConfig = DnsDiscoveryConfig | EmqxDiscoveryConfig;

export interface DnsDiscoveryConfig {
  readonly kind: 'dns';
  readonly name: string;
  readonly srv: boolean;
  /** Of the nodes, where the records do not say it. */
  readonly port: number;
  /** Absent: IPv4, or IPv6 where there is none. */
  readonly family: 4 | 6 | undefined;
  /** `address:port` of a DNS server; absent: the system's way. */
  readonly resolver: string | undefined;
  readonly scheme: Document['pools'][string]['discovery'][number]['scheme'];
  readonly intervalMs: number;
}

export interface EmqxDiscoveryConfig {
  readonly kind: 'emqx';
  /** Origin of the HTTP API, such as `http://10.0.0.1:18083`. */
  readonly url: string;
  readonly key: string;
  readonly secret: string;
  /** MQTT port of the nodes. */
  readonly port: number;
  readonly scheme: Document['pools'][string]['discovery'][number]['scheme'];
  readonly intervalMs: number;
}

interface HealthConfig {
  readonly probe: 'tcp' | 'http' | 'mqtt';
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  /** For the `http` probe. */
  readonly path: string;
}

export interface UpstreamConfig extends RetryPolicy, MovePolicy {
  /** New devices at one node, a second, by this proxy; 0: no limit. */
  readonly connectRate: number;
  /** Addresses of this machine to dial from in turn; none leaves the choice to the kernel. */
  readonly sourceAddresses: readonly string[];
  /** Of nodes that are reached by TLS; absent: their certificates must be good. */
  readonly tls?: UpstreamTlsConfig | undefined;
  /** Nodes are dialled from the device's own address. */
  readonly transparent: boolean;
  readonly http: HttpUpstream;
  /** What begins each connection to a node. */
  readonly proxyProtocol: 'none' | 'v1' | 'v2';
  /** What version 2 says besides addresses. */
  readonly proxyProtocolFields: V2Fields;
}

/** Validated: exactly one of `pool` and `reject` is set, and the pool exists. */
export type RuleConfig = ConnectRule;

interface MembershipConfig {
  readonly store: 'memory' | 'redis';
  /** Validated by `parseRedisUrl`, which also reads it; may hold a password, so it never goes to a log. */
  readonly url: string;
  /** Absent: nothing is signed. */
  readonly signing: SigningConfig | undefined;
  readonly heartbeatMs: number;
  readonly recallTimeoutMs: number;
}

/** Secrets of a cluster; never to a log. */
export interface SigningConfig {
  /** Signs. */
  readonly secret: string;
  /** Is believed too, while the secret of a cluster is changed from one proxy to the next. */
  readonly formerSecret?: string | undefined;
  /** Whether what is not signed is believed: while a cluster begins to sign. */
  readonly acceptsUnsigned: boolean;
}

export interface LimitsConfig {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly maxPacketBytes: number;
  /** On this proxy, of all connections that are not carried yet. */
  readonly pendingBytes: number;
  readonly highWaterBytes: number;
  /** On one data thread. */
  readonly maxHandshakes: number;
  readonly gathers: boolean;
  readonly halfCloseTimeoutMs: number;
  readonly maxOfflineBytes: number;
  readonly maxInflightBytes: number;
  readonly maxStateBytes: number;
  /** For all sessions that are remembered in this process. */
  readonly sessionMemoryBytes: number;
  readonly sessionMemoryMs: number;
  /** What is remembered of devices that have left, too. */
  readonly history: { readonly devices: number; readonly bytes: number };
  readonly upgradeGraceMs: number;
  readonly shutdownGraceMs: number;
  readonly shutdownListeners: 'until-taken-over' | 'close';
  readonly http: HttpLimits;
  /** Asked before the first byte. */
  readonly limiter: LimiterLimits;
  /** Refused devices that get the reason in a CONNACK, a second. */
  readonly refusalsTold: number;
  readonly reconnectThrottle: ReconnectThrottleLimits;
  /** Of one device. */
  readonly rates: DeviceRates;
}

/** Whether a node was declared by a flag rather than in the file. */
type IsFlagNode = (pool: string, index: number) => boolean;

/**
 * From the file's words and units to the program's. The document must have passed the schema; `fileName` is what the
 * paths in it are relative to.
 */
export function toConfig(document: Document, isFlagNode: IsFlagNode, fileName: string): Config {
  const { cluster, proxy, listeners, pools, rules, membership, admin, limits, log } = document;
  return deepFreeze({
    cluster,
    proxy: { id: proxy.id, threads: proxy.threads, engine: proxy.engine },
    listeners: listeners.map(({ url, mode, pool, tls, websocket, passthrough, ...rest }) => ({
      ...endpoint(url),
      ...{ mode, pool, tls: tls && toTls(tls, fileName) },
      websocket: toUpgradeTerms(url, websocket),
      limits: toListenerLimits(rest),
      trustedProxies: rest.trustedProxies,
      advertise: rest.advertise && referenceOf(rest.advertise, url),
      neighbours: rest.neighbours.map((reference) => referenceOf(reference, url)),
      opaque: url.startsWith('tcp:') ? (passthrough ?? 'tcp') : undefined,
      proxyProtocol: toProxyProtocol(rest, toMs(limits.connectTimeout)),
    })),
    pools: Object.entries(pools).map(([name, pool]) => toPool(cluster, name, pool, isFlagNode, fileName)),
    rules: rules.map(toRule),
    membership: {
      store: membership.store,
      url: membership.url,
      signing: toSigning(membership),
      heartbeatMs: toMs(membership.heartbeat),
      recallTimeoutMs: toMs(membership.recallTimeout),
    },
    admin: { ...endpoint(admin.url, parseAdminAddress), ...toAdmin(admin, fileName) },
    limits: {
      maxConnections: limits.maxConnections,
      connectTimeoutMs: toMs(limits.connectTimeout),
      maxPacketBytes: limits.maxPacketSize,
      pendingBytes: limits.pendingBytes,
      highWaterBytes: limits.highWater,
      maxHandshakes: limits.maxHandshakes,
      gathers: limits.gather,
      halfCloseTimeoutMs: toMs(limits.halfCloseTimeout),
      maxOfflineBytes: limits.sessionGap,
      maxInflightBytes: limits.sessionInflight,
      maxStateBytes: limits.sessionState,
      sessionMemoryBytes: limits.sessionMemory,
      sessionMemoryMs: toMs(limits.sessionMemoryTime),
      upgradeGraceMs: toMs(limits.upgradeGrace),
      shutdownGraceMs: toMs(limits.shutdownGrace),
      shutdownListeners: limits.shutdownListeners,
      history: limits.history,
      http: toHttpLimits(limits.http),
      limiter: {
        allow: limits.allow,
        deny: limits.deny,
        connectRate: limits.connectRate,
        connectRatePerSource: limits.connectRatePerSource,
        maxConnectionsPerListener: limits.maxConnectionsPerListener,
        maxConnectionsPerSource: limits.maxConnectionsPerSource,
      },
      refusalsTold: limits.refusalsTold,
      rates: { messageRate: limits.messageRate, byteRate: limits.byteRate },
      reconnectThrottle: {
        tolerated: limits.holdBack.after,
        forgiveMs: toMs(limits.holdBack.forget),
        firstDelayMs: toMs(limits.holdBack.firstDelay),
        maxDelayMs: toMs(limits.holdBack.maxDelay),
      },
    },
    log,
  });
}

/** With the port of the listener where it has none. */
function referenceOf(reference: string, url: string): string {
  return /:\d+$/.test(reference.replace(/^\[.*\]/, '')) ? reference : `${reference}:${endpoint(url).port}`;
}

function toPool(
  cluster: string,
  name: string,
  pool: Document['pools'][string],
  isFlagNode: IsFlagNode,
  fileName: string,
): PoolConfig {
  const { strategy, persistence, slowStart, health, upstream, nodes, discovery } = pool;
  return {
    name,
    strategy,
    persistence: toPersistence(persistence, cluster, name),
    slowStartMs: toMs(slowStart),
    health: {
      probe: health.probe,
      intervalMs: toMs(health.interval),
      timeoutMs: toMs(health.timeout),
      unhealthyThreshold: health.unhealthyThreshold,
      healthyThreshold: health.healthyThreshold,
      path: health.path,
    },
    upstream: {
      connectTimeoutMs: toMs(upstream.connectTimeout),
      connackTimeoutMs: toMs(upstream.connackTimeout),
      connackDeadlineMs: toMs(upstream.connackDeadline),
      maxAttempts: upstream.attempts,
      deadlineMs: toMs(upstream.deadline),
      connectRate: upstream.connectRate,
      connectQueue: upstream.connectQueue,
      reattachDeadlineMs: toMs(upstream.reattachDeadline),
      reattachConnackDeadlineMs: toMs(upstream.reattachConnackDeadline),
      silenceTimeoutMs: toMs(upstream.silenceTimeout),
      silenceDeadlineMs: toMs(upstream.silenceDeadline),
      takeoverFiresWill: upstream.takeoverFiresWill,
      leavesFirst: upstream.leaveFirst,
      lostLink: upstream.lostLink,
      sourceAddresses: upstream.sourceAddresses,
      tls: upstream.tls && toUpstreamTls(upstream.tls, fileName),
      transparent: upstream.transparent,
      http: toHttpUpstream(upstream.http),
      proxyProtocol: upstream.proxyProtocol,
      proxyProtocolFields: toV2Fields(upstream.proxyProtocolTlvs),
    },
    nodes: nodes.map((node, index) => {
      const source = isFlagNode(name, index) ? 'flag' : 'config';
      return nodeSpec({ ...node, pool: name, source });
    }),
    discovery: discovery.map(toDiscovery),
  };
}

function toProxyProtocol(
  { proxyProtocol, trustedProxies }: Pick<Document['listeners'][number], 'proxyProtocol' | 'trustedProxies'>,
  timeoutMs: number,
): ProxyProtocolOptions | undefined {
  return proxyProtocol === 'off' ? undefined : { mode: proxyProtocol, trusted: trustedProxies, timeoutMs };
}

function toV2Fields(names: Document['pools'][string]['upstream']['proxyProtocolTlvs']): V2Fields {
  const isNamed = (field: keyof V2Fields): boolean => names.some((name) => v2Fields[name] === field);
  return {
    alpn: isNamed('alpn'),
    authority: isNamed('authority'),
    tlsVersion: isNamed('tlsVersion'),
    cipher: isNamed('cipher'),
    clientCn: isNamed('clientCn'),
    uniqueId: isNamed('uniqueId'),
    chained: isNamed('chained'),
    crc32c: isNamed('crc32c'),
  };
}

function toDiscovery(entry: Document['pools'][string]['discovery'][number]): DiscoveryConfig {
  const { dns, srv = false, family, resolver, emqx = '', key = '', secret = '', scheme, port } = entry;
  const intervalMs = toMs(entry.interval);
  if (dns !== undefined) return { kind: 'dns', name: dns, srv, scheme, port, family, resolver, intervalMs };
  return { kind: 'emqx', url: new URL(emqx).origin, key, secret, scheme, port, intervalMs };
}

/** `url` in its full form, and what is bound: what `localhost` resolves to differs by machine and resolver. */
function endpoint(text: string, parse = parseAddress): { url: string; host: string; port: number } {
  const address = parse(text);
  const { host, port } = address;
  return { url: formatUrl(address), host: host === 'localhost' ? '127.0.0.1' : host, port };
}

function toListenerLimits({
  maxConnections,
  connectRate,
}: Pick<Document['listeners'][number], 'maxConnections' | 'connectRate'>): ListenerLimits | undefined {
  if (maxConnections === undefined && connectRate === undefined) return undefined;
  return {
    ...(maxConnections !== undefined && { maxConnectionsPerListener: maxConnections }),
    ...(connectRate !== undefined && { connectRate }),
  };
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1000);
}

/** Nothing in it can change any more. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
