import type { AdminState, NodeSpec } from '../nodes/node.ts';
import type { NodeTable } from '../nodes/table.ts';
import type { DiscoveredNode } from './discovery/discovery.ts';
import type { Decision, Membership } from './store/store.ts';

/** A node as it shall be. */
interface DesiredNode {
  readonly spec: NodeSpec;
  readonly state: AdminState;
}

/**
 * What all sources together say. Precedence where two name one id: what this proxy's own configuration and flags
 * declare, then what was discovered, then what was added at run time; what a person decided is laid over any of them.
 */
export function desiredNodes(
  declared: readonly NodeSpec[],
  discovered: readonly DiscoveredNode[],
  membership: Pick<Membership, 'nodes' | 'decisions'>,
): DesiredNode[] {
  const specs = new Map<string, NodeSpec>();
  const draining = new Set<string>();
  const leaving = new Set<string>();
  for (const { late: _, leaving: leaves, ...spec } of membership.nodes.values()) {
    specs.set(spec.id, spec);
    if (leaves) leaving.add(spec.id);
  }
  for (const node of discovered) {
    specs.set(node.spec.id, node.spec);
    if (node.draining) draining.add(node.spec.id);
  }
  for (const spec of declared) specs.set(spec.id, spec);
  const desired: DesiredNode[] = [];
  for (const spec of specs.values()) {
    const decision = membership.decisions.get(spec.id);
    if (decision?.removed) continue;
    const state = decision?.state ?? (draining.has(spec.id) ? 'draining' : 'enabled');
    desired.push({
      spec: decision === undefined ? spec : decided(spec, decision),
      // Who leaves takes no device, also where a person once enabled it.
      state: state === 'enabled' && leaving.has(spec.id) ? 'draining' : state,
    });
  }
  return desired;
}

function decided(spec: NodeSpec, { weight = spec.weight, maxConnections }: Decision): NodeSpec {
  const { maxConnections: declared, ...rest } = spec;
  const most = maxConnections ?? declared ?? 0;
  return { ...rest, weight, ...(most === 0 ? {} : { maxConnections: most }) };
}

/**
 * Brings the node table to what is desired; nodes that stay as they are, are not touched.
 * @param keepsOthers nodes that are not desired stay for now
 */
export function reconcile(table: NodeTable, desired: readonly DesiredNode[], keepsOthers = false): void {
  const ids = new Set(desired.map(({ spec }) => spec.id));
  for (const { id } of table.list()) if (!keepsOthers && !ids.has(id)) table.remove(id);
  for (const { spec, state } of desired) table.put(spec, state);
}
