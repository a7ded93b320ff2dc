import type { ClientList, ClientQuery, ClientView } from '../admin/backend.ts';
import type { MembershipStore } from '../membership/store.ts';

/** The longest that other proxies are waited for. */
const ASK_TIMEOUT_MS = 1_000;

/** What one proxy asks the others, so that what is said to one holds for all. */
export type Question =
  | { readonly type: 'clients'; readonly query: ClientQuery }
  | { readonly type: 'client'; readonly clientId: string }
  | { readonly type: 'kick'; readonly clientId: string };

/** What this proxy knows and can do by itself. */
export interface Local {
  clients(query: ClientQuery): Promise<ClientList>;
  /** Every connection of one client id here. */
  client(clientId: string): Promise<readonly ClientView[]>;
  /** How many connections were ended. */
  kick(clientId: string): Promise<number>;
}

/** Lays the other proxies' devices over this proxy's own: the same questions, answered by all together. */
export function withPeers(local: Local, store: Pick<MembershipStore, 'ask'>) {
  const ask = async <T>(question: Question): Promise<readonly T[]> =>
    (await store.ask(question, ASK_TIMEOUT_MS)) as readonly T[];

  /** A store that is away leaves this proxy to answer alone; but what it lacks itself may well be elsewhere. */
  async function askAbsent<T>(question: Question, isHere: boolean): Promise<readonly T[]> {
    try {
      return await ask<T>(question);
    } catch (error) {
      if (isHere) return [];
      throw error;
    }
  }

  return {
    /** While the store is away, this proxy's own: a list that is short is better than none. */
    async clients(query: ClientQuery): Promise<ClientList> {
      const [own, others] = await Promise.all([
        local.clients(query),
        ask<ClientList>({ type: 'clients', query }).catch(() => []),
      ]);
      const lists = [own, ...others];
      return {
        clients: lists.flatMap((list) => list.clients).slice(0, query.limit),
        total: lists.reduce((sum, list) => sum + list.total, 0),
      };
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE where it is not here, and others cannot be asked */
    async client(clientId: string): Promise<readonly ClientView[]> {
      const own = await local.client(clientId);
      const question = { type: 'client', clientId } as const;
      const others = await askAbsent<readonly ClientView[]>(question, own.length > 0);
      return [...own, ...others.flat()];
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE likewise */
    async kick(clientId: string): Promise<number> {
      const own = await local.kick(clientId);
      const others = await askAbsent<number>({ type: 'kick', clientId }, own > 0);
      return others.reduce((sum, count) => sum + count, own);
    },
    /** Answers another proxy. Questions of a newer version are not understood, and not answered. */
    answer(question: unknown): Promise<unknown> {
      const asked = question as Question;
      switch (asked.type) {
        case 'clients':
          return local.clients(asked.query);
        case 'client':
          return local.client(asked.clientId);
        case 'kick':
          return local.kick(asked.clientId);
        default:
          return Promise.reject(new Error('unknown question'));
      }
    },
  };
}

export type Peers = ReturnType<typeof withPeers>;
