/** Runs the agent that registers a broker and sends heartbeats for it. */

import { probes } from '../../health/index.ts';
import { probeTarget } from '../../health/probe.ts';
import { resolveHost } from '../../membership/discovery/resolve.ts';
import type { LivingProxy } from '../../membership/store/store.ts';
import { NodeAddresses } from '../../nodes/addresses.ts';
import { nodeSpec } from '../../nodes/spec.ts';
import { print } from '../output/print.ts';
import { watchSignals } from '../signals.ts';
import { beMember } from './member.ts';
import type { NodeOptions } from './registration-options.ts';

export interface AgentCommandOptions extends NodeOptions {
  /** `mqtt://host:port`, which the agent probes and proxies dial. */
  readonly node: string;
  readonly redis: string;
  readonly cluster: string;
  readonly probe: 'tcp' | 'mqtt';
}

/** A probe may take so many heartbeats: with the next one the lease still holds. */
const PROBE_TIMEOUT_BEATS = 2;

/**
 * `breakwater agent`: registers a broker that cannot do so itself, and says that it lives while it does, until
 * SIGTERM or SIGINT. Resolves to the exit code.
 */
export async function runAgent(options: AgentCommandOptions): Promise<number> {
  const leaving = watchSignals();
  const probe = probes[options.probe];
  const timeoutMs = PROBE_TIMEOUT_BEATS * options.heartbeat * 1000;
  const { id } = nodeSpec({ ...options, url: options.node, source: 'self' });
  const connections = watchConnections(id);
  print(`agent of ${options.node} in cluster ${options.cluster}; Ctrl-C takes the node out`);
  await beMember(
    {
      ...options,
      url: options.node,
      async serves(spec) {
        const target = probeTarget(spec, '/');
        const addresses = new NodeAddresses(await resolveHost(target.host));
        await probe({ ...target, addresses }, { timeoutMs, signal: leaving.atOnce });
      },
      isEmpty: connections.isEmpty,
      onProxies: connections.onProxies,
    },
    leaving,
  );
  return 0;
}

/** Knows from the heartbeats of the proxies whether one of them still has a device at the node. */
function watchConnections(nodeId: string) {
  let proxies: readonly LivingProxy[] = [];
  let toldAt = performance.now();
  return {
    onProxies(living: readonly LivingProxy[]): void {
      proxies = living;
      toldAt = performance.now();
    },
    /** Only heartbeats from after the beginning of the drain count: until then devices may still have come. */
    isEmpty(drainingMs: number): boolean {
      const sinceToldMs = performance.now() - toldAt;
      return proxies.every(
        ({ lastSeen, nodeConnections }) =>
          lastSeen * 1000 + sinceToldMs < drainingMs && !nodeConnections.some(([node]) => node === nodeId),
      );
    },
  };
}
