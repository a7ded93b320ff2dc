import type { ClientPlace, MembershipStore } from '../membership/store.ts';

/** How many claims are renewed, or made good, at one time. */
const RENEW_BATCH = 500;

export interface ClaimsOptions {
  readonly proxy: string;
  readonly store: Pick<MembershipStore, 'recallClient' | 'claimClient' | 'moveClient' | 'renewClients'>;
  /** Ends this proxy's connection of a device that another proxy serves now, and does nothing more in its name. */
  readonly endHere: (clientId: string) => void;
}

interface Claim {
  node: string;
  readonly ttlMs: number;
  /** Of the client id, here: a device that comes back may be there twice for a moment. */
  connections: number;
  /** Undefined until the store has answered. */
  epoch: number | undefined;
  /** The newest epoch that another proxy claimed meanwhile. */
  rival: number;
  /** Given up: its connections are on their way out. */
  yielded: boolean;
}

/**
 * What this proxy remembers, and has remembered for it, about where devices are served (persistence by client id).
 * Of two proxies that serve one client id the one with the older claim gives up. A store that is away costs no device
 * its connection: nothing is recalled then, and claims are made good with the next renewal.
 */
export function createClaims({ proxy, store, endHere }: ClaimsOptions) {
  /** One for each client id that is connected here. */
  const claims = new Map<string, Claim>();

  function yieldTo(clientId: string, claim: Claim): void {
    if (claim.yielded || claim.epoch === undefined || claim.rival <= claim.epoch) return;
    claim.yielded = true;
    endHere(clientId);
  }

  async function make(clientId: string, claim: Claim): Promise<void> {
    try {
      claim.epoch = await store.claimClient(clientId, { node: claim.node, proxy }, claim.ttlMs);
      if (claims.get(clientId) === claim) yieldTo(clientId, claim);
    } catch {
      // the store is away: the device is served all the same, and not remembered for now
    }
  }

  async function makeGood(clientIds: readonly string[]): Promise<void> {
    await Promise.all(
      clientIds.map(async (clientId) => {
        const claim = claims.get(clientId);
        if (claim !== undefined && !claim.yielded) await make(clientId, claim);
      }),
    );
  }

  return {
    async recall(clientId: string): Promise<string | undefined> {
      const place = await store.recallClient(clientId).catch(() => undefined);
      return place?.node;
    },

    async claim(clientId: string, node: string, ttlMs: number): Promise<void> {
      const connections = (claims.get(clientId)?.connections ?? 0) + 1;
      const claim: Claim = { node, ttlMs, connections, epoch: undefined, rival: 0, yielded: false };
      claims.set(clientId, claim);
      await make(clientId, claim);
    },

    /**
     * The session of a device that is claimed here is at another node. Its claim grows no younger by that: a device that
     * has come back at another proxy meanwhile is the newer one (rule 14).
     */
    async moved(clientId: string, node: string): Promise<void> {
      const claim = claims.get(clientId);
      if (claim === undefined || claim.yielded) return;
      claim.node = node;
      await store.moveClient(clientId, { node, proxy }).catch(() => {}); // made good with the next renewal, or not needed
    },

    /** One connection of the device has ended. */
    released(clientId: string): void {
      const claim = claims.get(clientId);
      if (claim !== undefined && --claim.connections === 0) claims.delete(clientId);
    },

    /** Another proxy serves the device now. */
    rivalled(clientId: string, { epoch }: ClientPlace): void {
      const claim = claims.get(clientId);
      if (claim === undefined) return;
      claim.rival = Math.max(claim.rival, epoch);
      yieldTo(clientId, claim);
    },

    /**
     * Keeps the claims of connected devices from expiring, and makes good those that the store was away for, or has
     * lost since: call it a few times within the shortest ttl, and when the store is back.
     */
    async renew(): Promise<void> {
      const byTtl = new Map<number, string[]>();
      const unmade: string[] = [];
      for (const [clientId, { ttlMs, epoch }] of claims) {
        const ids = epoch === undefined ? unmade : (byTtl.get(ttlMs) ?? []);
        ids.push(clientId);
        if (epoch !== undefined) byTtl.set(ttlMs, ids);
      }
      for (const batch of batches(unmade)) await makeGood(batch);
      for (const [ttlMs, ids] of byTtl) {
        for (const batch of batches(ids)) await makeGood(await store.renewClients(proxy, batch, ttlMs));
      }
    },
  };
}

function* batches(ids: readonly string[]): Generator<readonly string[]> {
  for (let i = 0; i < ids.length; i += RENEW_BATCH) yield ids.slice(i, i + RENEW_BATCH);
}
