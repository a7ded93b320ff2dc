import { z } from 'zod';
import type { ClientDetail, ClientList, ClientQuery, ClientView } from '../admin/backend.ts';
import { named } from '../admin/schemas.ts';
import type { MoveTally, Whom } from '../data-plane-api/messages.ts';
import { addTallies } from '../data-plane-api/move-tally.ts';
import type { Others } from '../membership/other-proxies.ts';
import { createPages } from '../membership/pages.ts';
import type { Ask, Topics } from '../membership/store/topics.ts';

/** Most that `client list` may ask for. */
const LIST_MAX = 10_000;
/** Pages that are fetched of one proxy: the longest list in the longest records. */
const PAGES_MAX = 256;
const TWINS_MAX = 64;

const clientId = z.string().max(65_535);
const nodeId = z.string().max(64);
const whomShape = z.union([
  z.object({ clientId }),
  z.object({ connection: z.int().min(0), proxy: z.string().max(256).optional() }),
]) satisfies z.ZodType<Whom>;
const count = z.int().min(0);

const listQuestion = z.union([
  z.object({
    query: z.object({ node: nodeId.optional(), match: clientId.optional(), limit: count.max(LIST_MAX) }),
  }),
  /** Of the list that this proxy gave the first page of. */
  z.object({ next: z.uuid() }),
]);
const listAnswer = z.object({
  clients: z.array(named.Client).max(LIST_MAX),
  /** How many match there in all; said with the first page. */
  total: count,
  next: z.uuid().optional(),
});
const tally = z.object({ moving: count, later: count, stuck: count, ended: count, noNode: count });

type ListQuestion = z.output<typeof listQuestion>;
type ListAnswer = z.output<typeof listAnswer>;

/** What this proxy knows and can do by itself; `client list` and its kind ask all proxies together. */
export interface LocalClients {
  clients(query: ClientQuery): Promise<ClientList>;
  /** Every connection that is meant, of those here. */
  client(whom: Whom): Promise<readonly ClientDetail[]>;
  /** How many connections were ended. */
  kick(whom: Whom): Promise<number>;
  /** Moves devices to this node. */
  move(whom: Whom, node: string): Promise<MoveTally>;
}

export function withPeerClients(local: LocalClients, topics: Topics, others: Others) {
  const pages = createPages<ClientView>();
  const list = topics.register(
    { name: 'clients', question: listQuestion, answer: listAnswer },
    async (asked): Promise<ListAnswer> => {
      if ('next' in asked) {
        const page = pages.next(asked.next);
        if (page === undefined) throw new Error('the list is gone');
        return { clients: [...page.items], total: 0, next: page.next };
      }
      const { clients, total } = await local.clients(asked.query);
      const { items, next } = pages.first(clients);
      return { clients: [...items], total, next };
    },
  );
  const client = topics.register(
    {
      name: 'client',
      question: z.object({ whom: whomShape }),
      answer: z.array(named.ClientDetail).max(TWINS_MAX),
    },
    async (asked) => [...(await local.client(asked.whom))],
  );
  const kick = topics.register(
    { name: 'kick', question: z.object({ whom: whomShape }), answer: count },
    (asked) => local.kick(asked.whom),
  );
  const move = topics.register(
    { name: 'move', question: z.object({ whom: whomShape, node: nodeId }), answer: tally },
    (asked) => local.move(asked.whom, asked.node),
  );

  return {
    /** While the store is away, this proxy's own: a list that is short is better than none, and says so. */
    async clients(query: ClientQuery): Promise<ClientList> {
      const own = await local.clients(query);
      const wanted = query.limit - own.clients.length;
      const asked = await others.askAvailable(list, { query: { ...query, limit: Math.max(0, wanted) } });
      const rest = await Promise.all(
        [...asked.given].map(([proxy, first]) => restOf(list, proxy, first, wanted)),
      );
      const cutShort = rest.filter(({ isWhole }) => !isWhole).map(({ proxy }) => proxy);
      return {
        clients: [...own.clients, ...rest.flatMap(({ clients }) => clients)].slice(0, query.limit),
        total: [...asked.given.values()].reduce((sum, { total }) => sum + total, own.total),
        missing: [...asked.missing, ...cutShort].sort(),
      };
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE where it is not here, and others cannot be asked */
    async client(whom: Whom): Promise<readonly ClientDetail[]> {
      const own = await local.client(whom);
      const { given } = await others.askAbsent(client, { whom }, own.length > 0);
      return [...own, ...[...given.values()].flat()];
    },
    /** @throws BreakwaterError STORE_UNAVAILABLE likewise */
    async kick(whom: Whom): Promise<number> {
      const own = await local.kick(whom);
      const { given } = await others.askAbsent(kick, { whom }, own > 0);
      return [...given.values()].reduce((total, ended) => total + ended, own);
    },
    async move(whom: Whom, node: string): Promise<MoveTally> {
      const own = await local.move(whom, node);
      const { given } = await others.askAbsent(move, { whom, node }, own.moving > 0);
      return addTallies([own, ...given.values()]);
    },
  };
}

export type PeerClients = ReturnType<typeof withPeerClients>;

/** What one proxy has to list, page by page, up to as many as are wanted. */
async function restOf(
  list: Ask<ListQuestion, ListAnswer>,
  proxy: string,
  first: ListAnswer,
  wanted: number,
): Promise<{ readonly proxy: string; readonly clients: readonly ClientView[]; readonly isWhole: boolean }> {
  const clients: ClientView[] = [...first.clients];
  let { next } = first;
  for (let page = 1; next !== undefined && clients.length < wanted && page < PAGES_MAX; page++) {
    const answer = await list({ next }, proxy).catch(() => undefined);
    const more = answer?.given.get(proxy);
    if (more === undefined) return { proxy, clients, isWhole: false };
    clients.push(...more.clients);
    next = more.next;
  }
  return { proxy, clients, isWhole: next === undefined || clients.length >= wanted };
}
