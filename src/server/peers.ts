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
  /** A store that is away leaves this proxy to answer alone: a list that is short is better than none. */
  const ask = async <T>(question: Question): Promise<readonly T[]> =>
    (await store.ask(question, ASK_TIMEOUT_MS).catch(() => [])) as readonly T[];

  return {
    async clients(query: ClientQuery): Promise<ClientList> {
      const [own, others] = await Promise.all([
        local.clients(query),
        ask<ClientList>({ type: 'clients', query }),
      ]);
      const lists = [own, ...others];
      return {
        clients: lists.flatMap((list) => list.clients).slice(0, query.limit),
        total: lists.reduce((sum, list) => sum + list.total, 0),
      };
    },
    async client(clientId: string): Promise<readonly ClientView[]> {
      const [own, others] = await Promise.all([
        local.client(clientId),
        ask<readonly ClientView[]>({ type: 'client', clientId }),
      ]);
      return [...own, ...others.flat()];
    },
    async kick(clientId: string): Promise<number> {
      const [own, others] = await Promise.all([
        local.kick(clientId),
        ask<number>({ type: 'kick', clientId }),
      ]);
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
