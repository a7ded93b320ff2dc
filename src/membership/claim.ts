import { z } from 'zod';
import type { ClientKey, ClientPlace } from './store/store.ts';

/** A claim: this proxy serves a device, at this node; and how it goes from one process of the proxy to the next. */

/** A connection that the broker has accepted here. */
export interface Claimant extends ClientKey {
  readonly who: number;
  /** By the clock of the data threads. */
  readonly sinceMs: number;
  readonly node: string;
  readonly ttlMs: number;
  /** Of this proxy. */
  readonly thread: number;
}

export interface Claim extends Claimant {
  sinceMs: number;
  node: string;
  thread: number;
  /** Of the client id in that pool, here: a device that comes back may be there twice for a moment. */
  connections: number;
  /** Undefined until the store has answered. */
  epoch: number | undefined;
  /** The newest claim of another proxy that arrived meanwhile. */
  rival: Pick<ClientPlace, 'epoch' | 'who'> | undefined;
  /** Another proxy has a newer claim: this one is not renewed. */
  isOld: boolean;
}

/** No name of a pool has a space. */
export function keyOf({ pool, clientId }: ClientKey): string {
  return `${pool} ${clientId}`;
}

/** @param newer a newer connection that has left already: the device was there */
export function claimFor(
  claimant: Claimant,
  connections: number,
  newer: Pick<Claimant, 'node' | 'sinceMs'> | undefined,
): Claim {
  const { node, sinceMs } = newer ?? claimant;
  return { ...claimant, node, sinceMs, connections, epoch: undefined, rival: undefined, isOld: false };
}

/** What one process tells the next of a claim. */
export const describedClaim = z.object({
  pool: z.string(),
  clientId: z.string(),
  who: z.int(),
  sinceMs: z.number(),
  node: z.string(),
  ttlMs: z.number(),
  epoch: z.number().optional(),
  isOld: z.boolean(),
});
type DescribedClaim = z.output<typeof describedClaim>;

/** Claims go with the connections that they are of. @param claims by `keyOf` */
export function createHandedClaims(claims: Map<string, Claim>) {
  return {
    /** For the process after this one, which goes on with the device. */
    describe(client: ClientKey): DescribedClaim | undefined {
      const claim = claims.get(keyOf(client));
      if (claim === undefined) return undefined;
      const { thread: _, rival: _rival, connections: _connections, ...known } = claim;
      return known;
    },

    /** Another process of this proxy has one connection of the device. */
    departed(client: ClientKey): void {
      const key = keyOf(client);
      const claim = claims.get(key);
      if (claim !== undefined && --claim.connections <= 0) claims.delete(key);
    },

    /**
     * A worker has died with its connections. Their claims stay in the store until they expire, but are not
     * renewed; but for devices that another worker goes on with.
     */
    forget(thread: number, survivors: readonly ClientKey[] = []): void {
      const kept = new Set(survivors.map(keyOf));
      for (const [key, claim] of claims) {
        if (kept.has(key)) continue;
        if (claim.thread === thread) claims.delete(key);
        else claim.connections = 1; // older ones may have been there
      }
    },

    /** Another worker of this process goes on with a connection of the device. */
    wentOver(client: ClientKey, from: number, to: number): void {
      const claim = claims.get(keyOf(client));
      if (claim?.thread === from) claim.thread = to;
    },

    /** This process goes on with a connection of the device; what is claimed here already is newer. */
    revive(described: DescribedClaim & { readonly thread: number }): void {
      const key = keyOf(described);
      const known = claims.get(key);
      if (known !== undefined) known.connections++;
      else claims.set(key, { ...described, connections: 1, epoch: described.epoch, rival: undefined });
    },
  };
}
