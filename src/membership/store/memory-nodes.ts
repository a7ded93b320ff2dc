/** The part of the memory store that keeps nodes and their leases. */

import { BreakwaterError } from '../../base/errors.ts';
import type { Clock } from '../../base/time.ts';
import type { NodesState } from './memory-state.ts';
import type { BeatingNode, Decision, Membership, StoredNode } from './store.ts';

interface Lease {
  readonly endsAt: number;
  readonly forgetAt: number;
}

/**
 * The nodes of the memory store, what was decided about them, and the leases of those that register themselves. It has
 * no timer: whoever keeps it calls `endLeases` at `nextEnd`.
 */
export class MemoryNodes {
  private readonly nodes = new Map<string, StoredNode>();
  private readonly decisions = new Map<string, Decision>();
  private readonly leases = new Map<string, Lease>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  membership(): Omit<Membership, 'bans'> {
    return { nodes: this.nodes, decisions: this.decisions };
  }

  /** @throws BreakwaterError NODE_EXISTS */
  add(spec: BeatingNode): void {
    if (this.nodes.has(spec.id)) {
      throw new BreakwaterError(
        'NODE_EXISTS',
        `node ${spec.id} exists already; choose another id, or remove it first`,
      );
    }
    this.nodes.set(spec.id, { ...spec, late: false });
    this.decisions.delete(spec.id);
  }

  remove(id: string): void {
    this.nodes.delete(id);
    this.leases.delete(id);
    this.decisions.delete(id);
  }

  decide(id: string, decision: Decision): void {
    const given = Object.entries(decision).filter(([, value]) => value !== undefined);
    this.decisions.set(id, { ...this.decisions.get(id), ...Object.fromEntries(given) });
  }

  /** @returns whether there was such a node */
  leave(id: string): boolean {
    this.leases.delete(id);
    if (!this.nodes.delete(id)) return false;
    const { state, ...others } = this.decisions.get(id) ?? {};
    if (state !== 'draining') return true;
    if (Object.keys(others).length > 0) this.decisions.set(id, others);
    else this.decisions.delete(id);
    return true;
  }

  /** @returns whether the node is new, was late, or says something new */
  beat(spec: BeatingNode, leaseMs: number, forgetAfterMs: number): boolean {
    const before = this.nodes.get(spec.id);
    if (before && !this.leases.has(spec.id)) return false; // a person added it, and it stays as that person did
    const endsAt = this.clock.now() + leaseMs;
    this.leases.set(spec.id, { endsAt, forgetAt: endsAt + forgetAfterMs });
    this.nodes.set(spec.id, { ...spec, late: false });
    return !before || before.late || !sameSpec(before, spec);
  }

  /** Nodes whose lease has run out are late, and later gone. @returns whether something changed */
  endLeases(): boolean {
    const now = this.clock.now();
    let isChanged = false;
    for (const [id, { endsAt, forgetAt }] of this.leases) {
      const node = this.nodes.get(id);
      if (forgetAt <= now) {
        this.leases.delete(id);
        this.nodes.delete(id);
        isChanged = true;
      } else if (node && !node.late && endsAt <= now) {
        this.nodes.set(id, { ...node, late: true });
        isChanged = true;
      }
    }
    return isChanged;
  }

  /** For the process after this one. */
  describe(): NodesState {
    const now = this.clock.now();
    const leases = [...this.leases].map(([id, { endsAt, forgetAt }]) => ({
      ...{ id, endsInMs: endsAt - now, forgetInMs: forgetAt - now },
    }));
    return { nodes: [...this.nodes.values()], decisions: [...this.decisions], leases };
  }

  restore({ nodes, decisions, leases }: NodesState): void {
    const now = this.clock.now();
    for (const map of [this.nodes, this.decisions, this.leases]) map.clear();
    for (const node of nodes) this.nodes.set(node.id, node);
    for (const [id, decision] of decisions) this.decisions.set(id, decision);
    for (const { id, endsInMs, forgetInMs } of leases)
      this.leases.set(id, { endsAt: now + endsInMs, forgetAt: now + forgetInMs });
  }

  /** When the next lease runs out; infinity for never. */
  nextEnd(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, { endsAt, forgetAt }] of this.leases) {
      next = Math.min(next, this.nodes.get(id)?.late ? forgetAt : endsAt);
    }
    return next;
  }
}

function sameSpec(a: BeatingNode, b: BeatingNode): boolean {
  return (
    a.url === b.url &&
    a.pool === b.pool &&
    a.weight === b.weight &&
    a.maxConnections === b.maxConnections &&
    a.probeUrl === b.probeUrl &&
    a.leaving === b.leaving
  );
}
