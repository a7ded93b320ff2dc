import type { ClientPlace, MembershipStore } from '../membership/store.ts';

/** How many claims are renewed with one call to the store. */
const RENEW_BATCH = 500;

export interface ClaimsOptions {
  readonly proxy: string;
  readonly store: Pick<MembershipStore, 'recallClient' | 'claimClient' | 'renewClients'>;
  /** Ends this proxy's connection of a device that another proxy serves now. */
  readonly kick: (clientId: string) => void;
}

interface Claim {
  readonly ttlMs: number;
  /** Undefined until the store has answered. */
  epoch: number | undefined;
  /** The newest epoch that another proxy claimed meanwhile. */
  rival: number;
}

/**
 * What this proxy remembers, and has remembered for it, about where devices are served (persistence by client id).
 * Of two proxies that serve one client id the one with the older claim gives up. A store that is away costs no device
 * its connection: nothing is recalled then, and claims are made good with the next renewal.
 */
export function createClaims({ proxy, store, kick }: ClaimsOptions) {
  const claims = new Map<string, Claim>();

  function yieldTo(clientId: string, claim: Claim): void {
    if (claim.epoch === undefined || claim.rival <= claim.epoch) return;
    claims.delete(clientId);
    kick(clientId);
  }

  return {
    async recall(clientId: string): Promise<string | undefined> {
      const place = await store.recallClient(clientId).catch(() => undefined);
      return place?.node;
    },

    async claim(clientId: string, node: string, ttlMs: number): Promise<void> {
      const claim: Claim = { ttlMs, epoch: undefined, rival: 0 };
      claims.set(clientId, claim);
      try {
        claim.epoch = await store.claimClient(clientId, { node, proxy }, ttlMs);
        if (claims.get(clientId) === claim) yieldTo(clientId, claim);
      } catch {
        // the store is away: the device is served all the same, and not remembered
      }
    },

    released(clientId: string): void {
      claims.delete(clientId);
    },

    /** Another proxy serves the device now. */
    rivalled(clientId: string, { epoch }: ClientPlace): void {
      const claim = claims.get(clientId);
      if (claim === undefined) return;
      claim.rival = Math.max(claim.rival, epoch);
      yieldTo(clientId, claim);
    },

    /** Keeps the claims of connected devices from expiring: call it a few times within the shortest ttl. */
    async renew(): Promise<void> {
      const byTtl = new Map<number, string[]>();
      for (const [clientId, { ttlMs }] of claims) {
        const ids = byTtl.get(ttlMs) ?? [];
        ids.push(clientId);
        byTtl.set(ttlMs, ids);
      }
      for (const [ttlMs, ids] of byTtl) {
        for (let i = 0; i < ids.length; i += RENEW_BATCH) {
          await store.renewClients(proxy, ids.slice(i, i + RENEW_BATCH), ttlMs);
        }
      }
    },
  };
}
