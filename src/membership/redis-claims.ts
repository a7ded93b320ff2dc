import type { Codec, Place } from './codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { scripts } from './redis-scripts.ts';
import type { ClientPlace } from './store.ts';

/** Clients that one script renews: it holds Redis up for about a millisecond. */
const RENEW_BATCH = 500;

/** A client id of 65,535 bytes, of which JSON makes up to six characters each, and the rest. */
const MESSAGE_MAX = 400_000;

const claimed: Place = { key: 'claims', field: '' };

export interface ClaimsOptions {
  readonly keys: RedisKeys;
  readonly codec: Codec;
  readonly proxyId: string;
  readonly run: RunScript;
  /** Until when a command may be carried out, by Redis's clock. */
  deadline(): number;
  onClaim(clientId: string, place: ClientPlace): void;
}

/** Where devices are served. */
export function createClaims({ keys, codec, proxyId, run, deadline, onClaim }: ClaimsOptions) {
  return {
    async recall(clientId: string): Promise<ClientPlace | undefined> {
      const reply = await run(scripts.recallClient, [keys.client(clientId)], []);
      const [node, proxy, epoch] = reply as (string | null)[];
      if (node === null && proxy === null && epoch === null) return undefined;
      return codec.check('place', { node, proxy, epoch }, { key: 'client', field: clientId });
    },

    async claim(
      clientId: string,
      { node, proxy }: Omit<ClientPlace, 'epoch'>,
      ttlMs: number,
    ): Promise<number> {
      const args = [deadline(), keys.claims, clientId, node, proxy, Math.ceil(ttlMs)];
      return Number(await run(scripts.claimClient, [keys.epoch, keys.client(clientId)], args));
    },

    async move(clientId: string, { node, proxy }: Omit<ClientPlace, 'epoch'>): Promise<void> {
      await run(scripts.moveClient, [keys.client(clientId)], [deadline(), node, proxy]);
    },

    /** What another proxy holds by now is told as its claim: so a lost message heals. */
    async renew(proxy: string, clientIds: readonly string[], ttlMs: number): Promise<readonly string[]> {
      const lost: string[] = [];
      for (let at = 0; at < clientIds.length; at += RENEW_BATCH) {
        const batch = clientIds.slice(at, at + RENEW_BATCH);
        const args = [deadline(), proxy, Math.ceil(ttlMs)];
        const reply = await run(scripts.renewClients, batch.map(keys.client), args);
        const [others, unknown, broken] = reply as [string[], string[], string[]];
        const idAt = (index: string | undefined) => batch[Number(index) - 1] as string;
        for (let i = 0; i + 3 < others.length; i += 4) {
          const [index, node, holder, epoch] = others.slice(i, i + 4);
          const field = idAt(index);
          const place = codec.check('place', { node, proxy: holder, epoch }, { key: 'client', field });
          if (place !== undefined) onClaim(field, place);
        }
        for (const index of broken)
          codec.skip(
            { key: 'client', field: idAt(index) },
            'type',
            'the key was of another type, and is deleted',
          );
        lost.push(...unknown.map(idAt));
      }
      return lost;
    },

    /** Another proxy's message. */
    onMessage(text: string): void {
      if (text.length > MESSAGE_MAX)
        return codec.skip(claimed, 'size', `a message of ${text.length} characters`);
      const claim = codec.read('claim', text, claimed);
      if (claim === undefined || claim.proxy === proxyId) return;
      const { clientId, ...place } = claim;
      onClaim(clientId, place);
    },
  };
}
