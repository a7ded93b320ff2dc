import { Pool } from 'undici';
import type { UpstreamConfig } from '../config/config.ts';
import type { Target } from '../connection/wire.ts';

/** Shorter than what common servers keep an idle connection (Node 5 s, nginx 75 s), so that we are the first to close. */
const KEEP_ALIVE_MS = 4_000;
/** Pools of nodes that have had no request for so long are closed. */
const IDLE_MS = 60_000;

/** The connections to one node, and how many requests are under way there. */
export interface NodeAgent {
  readonly pool: Pool;
  inFlight: number;
  usedAtMs: number;
}

/** One keep-alive pool of connections for each node. */
export class NodeAgents {
  private readonly agents = new Map<string, NodeAgent>();
  private readonly maxHeadBytes: number;
  private readonly now: () => number;

  constructor(maxHeadBytes: number, now: () => number) {
    this.maxHeadBytes = maxHeadBytes;
    this.now = now;
  }

  for(target: Target, { connectTimeoutMs, http }: UpstreamConfig): NodeAgent {
    const { host, port, sourceAddress = '' } = target;
    const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const key = [origin, sourceAddress, connectTimeoutMs, http.maxRequests].join(' ');
    let agent = this.agents.get(key);
    if (agent === undefined) {
      const pool = new Pool(origin, {
        connections: http.maxRequests,
        pipelining: 1,
        allowH2: false,
        maxHeaderSize: this.maxHeadBytes,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connect: {
          timeout: connectTimeoutMs,
          noDelay: true,
          ...(sourceAddress !== '' && { localAddress: sourceAddress }),
        },
      });
      agent = { pool, inFlight: 0, usedAtMs: 0 };
      this.agents.set(key, agent);
    }
    agent.usedAtMs = this.now();
    return agent;
  }

  /** Closes the pools of nodes that have gone, or that nobody asks for. */
  sweep(): void {
    const before = this.now() - IDLE_MS;
    for (const [key, agent] of this.agents) {
      if (agent.inFlight > 0 || agent.usedAtMs > before) continue;
      this.agents.delete(key);
      void agent.pool.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map(({ pool }) => pool.destroy()));
    this.agents.clear();
  }
}
