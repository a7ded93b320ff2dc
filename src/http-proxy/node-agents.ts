import { Pool } from 'undici';
import type { UpstreamConfig } from '../config/config.ts';
import type { Target } from '../connection/wire.ts';
import type { UpstreamTls } from '../engine/tls.ts';
import { nodeTls, tlsConnector } from './node-tls.ts';
import { SharedLoad } from './shared-load.ts';

/** Shorter than what common servers keep an idle connection (Node 5 s, nginx 75 s), so that we are the first to close. */
const KEEP_ALIVE_MS = 4_000;
/** Pools of nodes that have had no request for so long are closed. */
const IDLE_MS = 60_000;

/** The connections to one node, and how many requests are under way there. */
export interface NodeAgent {
  readonly pool: Pool;
  /** By TLS: told with each request, because undici takes the Host for it and begins anew where that changes. */
  readonly serverName: string | undefined;
  readonly load: SharedLoad;
  usedAtMs: number;
}

/** One keep-alive pool of connections for each node. */
export class NodeAgents {
  private readonly agents = new Map<string, NodeAgent>();
  /** TLS settings that differ have connections of their own. */
  private readonly versions = new WeakMap<UpstreamTls, number>();
  private lastVersion = 0;
  /** Of answers, on connections that are opened from now on. */
  maxHeadBytes: number;
  private readonly now: () => number;

  constructor(maxHeadBytes: number, now: () => number) {
    this.maxHeadBytes = maxHeadBytes;
    this.now = now;
  }

  for(target: Target, upstream: UpstreamConfig, tls: UpstreamTls): NodeAgent {
    const { host, port, sourceAddress = '' } = target;
    const scheme = target.tls === undefined ? 'http' : 'https';
    const origin = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const secured = target.tls === undefined ? '' : `${target.tls.serverName} ${this.versionOf(tls)}`;
    const { connectTimeoutMs, http } = upstream;
    const key = [origin, sourceAddress, connectTimeoutMs, http.maxRequests, this.maxHeadBytes, secured].join(
      ' ',
    );
    let agent = this.agents.get(key);
    if (agent === undefined) {
      agent = this.create(origin, target, upstream, tls);
      this.agents.set(key, agent);
    }
    agent.usedAtMs = this.now();
    return agent;
  }

  private create(origin: string, target: Target, upstream: UpstreamConfig, tls: UpstreamTls): NodeAgent {
    const { host, port, sourceAddress: localAddress } = target;
    const { connectTimeoutMs, http } = upstream;
    const secured = target.tls && nodeTls(target.tls, tls);
    const pool = new Pool(origin, {
      connections: http.maxRequests,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: this.maxHeadBytes,
      keepAliveTimeout: KEEP_ALIVE_MS,
      ...(localAddress !== undefined && { localAddress }),
      connect:
        secured === undefined
          ? { timeout: connectTimeoutMs, noDelay: true }
          : tlsConnector({ ...secured.options, host, port, localAddress }, connectTimeoutMs),
    });
    return { pool, serverName: secured?.name, load: new SharedLoad(http.maxRequests), usedAtMs: 0 };
  }

  private versionOf(tls: UpstreamTls): number {
    const known = this.versions.get(tls);
    if (known !== undefined) return known;
    this.versions.set(tls, ++this.lastVersion);
    return this.lastVersion;
  }

  /** Closes the pools of nodes that have gone, or that nobody asks for. */
  sweep(): void {
    const before = this.now() - IDLE_MS;
    for (const [key, agent] of this.agents) {
      if (agent.load.inFlight > 0 || agent.usedAtMs > before) continue;
      this.agents.delete(key);
      agent.pool.close().catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map(({ pool }) => pool.destroy()));
    this.agents.clear();
  }
}

/** The same node at one of its addresses. */
export function atAddress(target: Target, host = target.host): Target {
  return host === target.host ? target : { ...target, host };
}
