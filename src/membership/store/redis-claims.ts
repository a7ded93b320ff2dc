import { z } from 'zod';
import { BreakwaterError } from '../../base/errors.ts';
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

const claimReply = z.tuple([z.int(), z.int()]);
const texts = z.array(z.string());
const renewReply = z.tuple([texts, texts, texts]);

/** Other proxies that claim one device at one moment; each makes one try fail at most. */
const TRIES_MAX = 16;

export interface ClaimsOptions {
  readonly keys: RedisKeys;
  readonly codec: Codec;
  readonly proxyId: string;
  readonly run: RunScript;
  /** Until when a command may be carried out, by Redis's clock. */
  deadline(): number;
  /** By Redis's clock, as far as it is known here. */
  storeNow(): number;
  onClaim(client: ClientKey, place: ClientPlace): void;
}

/** Where devices are served. */
export function createClaims({ keys, codec, proxyId, run, deadline, storeNow, onClaim }: ClaimsOptions) {
  const epochs = createEpochs(storeNow);

  /** Reads the claim of this client; a claim of another client counts as unusable. */
  function read(client: ClientKey, text: string): ClientPlace | undefined {
    const claim = codec.read('claim', text, placeOf(client));
    if (claim === undefined) return undefined;
    const { pool, clientId, ...place } = claim;
    if (pool === client.pool && clientId === client.clientId) return place;
    codec.skip(placeOf(client), 'schema', 'it is of another client');
    return undefined;
  }

  return {
    async recall(client: ClientKey): Promise<ClientPlace | undefined> {
      const text = await run(scripts.recallClient, [keys.client(client)], []);
      return typeof text === 'string' ? read(client, text) : undefined;
    },

    async claim(
      client: ClientKey,
      { node, proxy, who }: Omit<ClientPlace, 'epoch'>,
      ttlMs: number,
      lost = 0,
    ): Promise<number> {
      let epoch = lost > 0 ? epochs.saw(lost) : epochs.next(0);
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const text = codec.write('claim', { ...client, node, proxy, who, epoch });
        const args = [deadline(), keys.claims, proxy, who, epoch, text, Math.ceil(ttlMs), lost > 0 ? 1 : 0];
        const reply = claimReply.parse(await run(scripts.claimClient, [keys.client(client)], args));
        if (reply[0] === 1 || lost > 0) return epoch;
        epoch = epochs.next(reply[1]);
      }
      throw new BreakwaterError('STORE_CONFLICT', 'other proxies claim this device all the time');
    },

    async move(client: ClientKey, place: ClientPlace): Promise<void> {
      const text = codec.write('claim', { ...client, ...place });
      await run(scripts.moveClient, [keys.client(client)], [deadline(), place.epoch, place.proxy, text]);
    },

    /**
     * A claim that another proxy holds by now is reported as if its message had come: so a lost message does no
     * harm.
     */
    async renew(proxy: string, clients: readonly ClientKey[], ttlMs: number): Promise<readonly ClientKey[]> {
      const lost: ClientKey[] = [];
      for (let at = 0; at < clients.length; at += RENEW_BATCH) {
        const batch = clients.slice(at, at + RENEW_BATCH);
        const args = [deadline(), proxy, Math.ceil(ttlMs)];
        const reply = await run(scripts.renewClients, batch.map(keys.client), args);
        const [others, unknown, broken] = renewReply.parse(reply);
        const clientAt = (index: string | undefined) => batch[Number(index) - 1] as ClientKey;
        for (let i = 0; i + 1 < others.length; i += 2) {
          const client = clientAt(others[i]);
          const place = read(client, others[i + 1] as string);
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

/** Microseconds of Redis's clock, but always more than the one before, and than the one that is there. */
function createEpochs(storeNow: () => number) {
  let last = 0;
  return {
    saw(epoch: number): number {
      last = Math.max(last, epoch);
      return epoch;
    },
    next(there: number): number {
      last = Math.max(Math.floor(storeNow() * 1000), last + 1, there + 1);
      return last;
    },
  };
}
