import type { RedisKeys } from './redis-keys.ts';
import type { RunScript } from './redis-link.ts';
import { scripts } from './redis-scripts.ts';
import type { ClientPlace } from './store.ts';

/** Clients that one script renews: it holds Redis up for about a millisecond. */
const RENEW_BATCH = 500;

export interface ClaimsOptions {
  readonly keys: RedisKeys;
  readonly proxyId: string;
  readonly run: RunScript;
  /** Until when a command may be carried out, by Redis's clock. */
  deadline(): number;
  onClaim(clientId: string, place: ClientPlace): void;
}

/** Where devices are served. */
export function createClaims({ keys, proxyId, run, deadline, onClaim }: ClaimsOptions) {
  return {
    async recall(clientId: string): Promise<ClientPlace | undefined> {
      const reply = await run(scripts.recallClient, [keys.client(clientId)], []);
      const [node, proxy, epoch] = reply as (string | null)[];
      return node && proxy && epoch ? { node, proxy, epoch: Number(epoch) } : undefined;
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
        const [others, unknown] = reply as [string[], string[]];
        for (let i = 0; i + 3 < others.length; i += 4) {
          const [index, node, holder, epoch] = others.slice(i, i + 4) as [string, string, string, string];
          onClaim(batch[Number(index) - 1] as string, { node, proxy: holder, epoch: Number(epoch) });
        }
        lost.push(...unknown.map((index) => batch[Number(index) - 1] as string));
      }
      return lost;
    },

    /** Another proxy's message. What cannot be read is not for us: another version of Breakwater sent it. */
    onMessage(text: string): void {
      let claim: Record<string, unknown>;
      try {
        claim = JSON.parse(text);
      } catch {
        return;
      }
      const { clientId, node, proxy, epoch } = claim ?? {};
      if (typeof clientId !== 'string' || typeof node !== 'string' || typeof proxy !== 'string') return;
      if (proxy !== proxyId) onClaim(clientId, { node, proxy, epoch: Number(epoch) });
    },
  };
}
