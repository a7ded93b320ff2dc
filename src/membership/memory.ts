import { BreakwaterError } from '../errors.ts';
import type { NodeSpec } from '../nodes/node.ts';
import type { Decision, Membership, MembershipStore } from './store.ts';

/** Membership of one proxy that stands alone; it ends with the process. */
export function createMemoryStore(): MembershipStore {
  const nodes = new Map<string, NodeSpec>();
  const decisions = new Map<string, Decision>();
  let tell: (membership: Membership) => void = () => {};
  const changed = (): void => tell({ nodes, decisions });

  return {
    kind: 'memory',
    isUp: () => true,
    open: async (onChange) => {
      tell = onChange;
      changed();
    },
    addNode: async (spec) => {
      if (nodes.has(spec.id)) {
        throw new BreakwaterError(
          'NODE_EXISTS',
          `node ${spec.id} exists already; choose another id, or remove it first`,
        );
      }
      nodes.set(spec.id, spec);
      decisions.delete(spec.id);
      changed();
    },
    removeNode: async (id) => {
      nodes.delete(id);
      decisions.delete(id);
      changed();
    },
    decide: async (id, decision) => {
      const given = Object.entries(decision).filter(([, value]) => value !== undefined);
      decisions.set(id, { ...decisions.get(id), ...Object.fromEntries(given) });
      changed();
    },
    close: async () => {
      tell = () => {};
    },
  };
}
