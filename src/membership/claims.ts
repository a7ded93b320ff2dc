import type { Clock, Timers } from '../base/time.ts';
import { type Claim, type Claimant, claimFor, createHandedClaims, keyOf } from './claim.ts';
import { LeftPlaces } from './left-places.ts';
import type { ClientKey, ClientPlace, MembershipStore } from './store/store.ts';

/** How many claims are renewed, or made good, at one time. */
const RENEW_BATCH = 500;

export interface ClaimsOptions {
  readonly proxy: string;
  readonly store: Pick<MembershipStore, 'recallClient' | 'claimClient' | 'moveClient' | 'renewClients'>;
  /** The broker has accepted a device at another proxy, later than the connections that it accepted here until `sinceMs`. */
  readonly supersede: (newer: ClientKey & { readonly who: number; readonly sinceMs: number }) => void;
  /** The broker has accepted a device at another proxy. */
  readonly acceptedElsewhere: (client: ClientKey) => void;
  /** How long a connect waits to hear where its device was, in ms. */
  readonly recallTimeoutMs: () => number;
  readonly clock: Clock;
  readonly timers: Pick<Timers, 'setTimeout'>;
}

/**
 * The claims of this proxy: where devices are served. The epochs of two claims say which proxy served a client id
 * last, but no connection is ended for that (rule 14). A store that is away costs no device its connection:
 * affinity look-ups are answered by what this proxy knows itself then, and missing claims are made with the next renewal.
 */
export function createClaims(options: ClaimsOptions) {
  const { proxy, store, supersede, acceptedElsewhere, recallTimeoutMs, clock, timers } = options;
  /** One for each client id of a pool that is connected here. */
  const claims = new Map<string, Claim>();
  const left = new LeftPlaces(clock);

  /** As far as this proxy knows: where the device is, or was. */
  function placeHere(key: string): string | undefined {
    const claim = claims.get(key);
    return claim === undefined || claim.isOld ? left.get(key)?.node : claim.node;
  }

  function compare(claim: Claim): void {
    const { pool, clientId, sinceMs, rival, epoch } = claim;
    if (rival === undefined || epoch === undefined || rival.epoch <= epoch) return;
    claim.isOld = true;
    supersede({ pool, clientId, who: rival.who, sinceMs });
  }

  async function make(claim: Claim): Promise<void> {
    const { node, who, ttlMs, epoch } = claim;
    try {
      claim.epoch = await store.claimClient(claim, { node, proxy, who }, ttlMs, epoch);
      if (claims.get(keyOf(claim)) === claim) compare(claim);
    } catch {
      // the store is away: the device is served all the same, and not remembered for now
    }
  }

  async function makeGood(clients: readonly ClientKey[]): Promise<void> {
    await Promise.all(
      clients.map(async (client) => {
        const claim = claims.get(keyOf(client));
        if (claim !== undefined && !claim.isOld) await make(claim);
      }),
    );
  }

  return {
    ...createHandedClaims(claims),
    /** The store's word; where it has none, or is too late to reach the worker in time, what this proxy knows itself. */
    async recall(client: ClientKey): Promise<string | undefined> {
      const asked = store.recallClient(client).catch(() => undefined);
      const known = placeHere(keyOf(client));
      if (known === undefined) return (await asked)?.node;
      return (await Promise.race([asked, after(timers, recallTimeoutMs() / 2)]))?.node ?? known;
    },

    /** Data threads are heard in any order: where a newer connection was heard of before, the device is where that is, or was. */
    async claim(claimant: Claimant): Promise<void> {
      const key = keyOf(claimant);
      const known = claims.get(key);
      if (known !== undefined && known.sinceMs > claimant.sinceMs) return void known.connections++;
      const last = left.get(key);
      const newer = last !== undefined && last.sinceMs > claimant.sinceMs ? last : undefined;
      const claim = claimFor(claimant, (known?.connections ?? 0) + 1, newer);
      claims.set(key, claim);
      if (newer === undefined) await make(claim);
    },

    /**
     * The session of a device that is claimed here is at another node. The claim keeps its epoch: a device that has
     * come back at another proxy meanwhile has the newer claim (rule 14).
     */
    async moved(client: ClientKey & Pick<Claimant, 'sinceMs' | 'node'>): Promise<void> {
      const { node, sinceMs } = client;
      const claim = claims.get(keyOf(client));
      if (claim === undefined || claim.isOld || claim.sinceMs !== sinceMs) return;
      claim.node = node;
      const { who, epoch } = claim;
      if (epoch === undefined) return; // it is claimed there with the next renewal
      await store.moveClient(client, { node, proxy, who, epoch }).catch(() => {}); // made good then, or not needed
    },

    /** One connection of the device has ended. */
    released(client: ClientKey): void {
      const key = keyOf(client);
      const claim = claims.get(key);
      if (claim === undefined || --claim.connections > 0) return;
      claims.delete(key);
      if (!claim.isOld) left.add(key, claim);
    },

    /** Another proxy has claimed the device. */
    rivalled(client: ClientKey, { epoch, who }: Pick<ClientPlace, 'epoch' | 'who'>): void {
      acceptedElsewhere(client);
      const claim = claims.get(keyOf(client));
      left.delete(keyOf(client));
      if (claim === undefined || (claim.rival !== undefined && claim.rival.epoch >= epoch)) return;
      claim.rival = { epoch, who };
      compare(claim);
    },

    /**
     * Keeps the claims of connected devices from expiring, and repeats those that the store has missed or lost.
     * Call it a few times within the shortest ttl, and when the store is back.
     */
    async renew(): Promise<void> {
      const byTtl = new Map<number, ClientKey[]>();
      const unmade: ClientKey[] = [];
      for (const { pool, clientId, ttlMs, epoch, isOld } of claims.values()) {
        if (isOld) continue;
        const clients = epoch === undefined ? unmade : (byTtl.get(ttlMs) ?? []);
        clients.push({ pool, clientId });
        if (epoch !== undefined) byTtl.set(ttlMs, clients);
      }
      for (const batch of batches(unmade)) await makeGood(batch);
      for (const [ttlMs, clients] of byTtl) {
        for (const batch of batches(clients)) await makeGood(await store.renewClients(proxy, batch, ttlMs));
      }
    },
  };
}

export type Claims = ReturnType<typeof createClaims>;

function after(timers: ClaimsOptions['timers'], ms: number): Promise<undefined> {
  return new Promise((resolve) => timers.setTimeout(() => resolve(undefined), ms));
}

function* batches(clients: readonly ClientKey[]): Generator<readonly ClientKey[]> {
  for (let i = 0; i < clients.length; i += RENEW_BATCH) yield clients.slice(i, i + RENEW_BATCH);
}
