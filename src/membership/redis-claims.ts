import type { Codec, Place } from './codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { scripts } from './redis-scripts.ts';
import type { ClientKey, ClientPlace } from './store.ts';

/** Clients that one script renews: it holds Redis up for about a millisecond. */
const RENEW_BATCH = 500;

/** A client id of 65,535 bytes, of which JSON makes up to six characters each, and the rest. */
const MESSAGE_MAX = 400_000;

function placeOf({ pool, clientId }: ClientKey): Place {
  return { key: 'client', field: `${pool} ${clientId}` };
}

const claimed: Place = { key: 'claims', field: '' };

export interface ClaimsOptions {
  readonly keys: RedisKeys;
  readonly codec: Codec;
  readonly proxyId: string;
  readonly run: RunScript;
  /** Until when a command may be carried out, by Redis's clock. */
  deadline(): number;
  onClaim(client: ClientKey, place: ClientPlace): void;
}

/** Where devices are served. */
export function createClaims({ keys, codec, proxyId, run, deadline, onClaim }: ClaimsOptions) {
  return {
    async recall(client: ClientKey): Promise<ClientPlace | undefined> {
      const reply = await run(scripts.recallClient, [keys.client(client)], []);
      const [node, proxy, who, epoch] = reply as (string | null)[];
      if (node === null && proxy === null && epoch === null) return undefined;
      return codec.check('place', { node, proxy, who, epoch }, placeOf(client));
    },

    async claim(
      client: ClientKey,
      { node, proxy, who }: Omit<ClientPlace, 'epoch'>,
      ttlMs: number,
      epoch = 0,
    ): Promise<number> {
      const { pool, clientId } = client;
      const args = [deadline(), keys.claims, pool, clientId, node, proxy, who, Math.ceil(ttlMs), epoch];
      return Number(await run(scripts.claimClient, [keys.epoch, keys.client(client)], args));
    },

    async move(client: ClientKey, { node, proxy }: Pick<ClientPlace, 'node' | 'proxy'>): Promise<void> {
      await run(scripts.moveClient, [keys.client(client)], [deadline(), node, proxy]);
    },

    /** What another proxy holds by now is told as its claim: so a lost message heals. */
    async renew(proxy: string, clients: readonly ClientKey[], ttlMs: number): Promise<readonly ClientKey[]> {
      const lost: ClientKey[] = [];
      for (let at = 0; at < clients.length; at += RENEW_BATCH) {
        const batch = clients.slice(at, at + RENEW_BATCH);
        const args = [deadline(), proxy, Math.ceil(ttlMs)];
        const reply = await run(scripts.renewClients, batch.map(keys.client), args);
        const [others, unknown, broken] = reply as [string[], string[], string[]];
        const clientAt = (index: string | undefined) => batch[Number(index) - 1] as ClientKey;
        for (let i = 0; i + 4 < others.length; i += 5) {
          const [index, node, holder, who, epoch] = others.slice(i, i + 5);
          const client = clientAt(index);
          const place = codec.check('place', { node, proxy: holder, who, epoch }, placeOf(client));
          if (place !== undefined) onClaim(client, place);
        }
        for (const index of broken)
          codec.skip(placeOf(clientAt(index)), 'type', 'the key was of another type, and is deleted');
        lost.push(...unknown.map(clientAt));
      }
      return lost;
    },

    /** Another proxy's message. */
    onMessage(text: string): void {
      if (text.length > MESSAGE_MAX)
        return codec.skip(claimed, 'size', `a message of ${text.length} characters`);
      const claim = codec.read('claim', text, claimed);
      if (claim === undefined || claim.proxy === proxyId) return;
      const { pool, clientId, ...place } = claim;
      onClaim({ pool, clientId }, place);
    },
  };
}
