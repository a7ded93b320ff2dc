import { z } from 'zod';
import type { ClientDetail, ClientList, ClientQuery, ClientView } from '../admin/backend.ts';
import { named } from '../admin/schemas.ts';
import { BreakwaterError } from '../base/errors.ts';
import type { Whom } from '../data-plane-api/device-order.ts';
import type { ClientFilter, MoveTally } from '../data-plane-api/messages.ts';
import { addTallies, hasFound } from '../data-plane-api/move-tally.ts';
import type { Others } from '../membership/other-proxies.ts';
import { createPages } from '../membership/pages.ts';
import type { Ask, Topics } from '../membership/store/topics.ts';

/** Most that `client list` may ask for. */
const LIST_MAX = 10_000;
/** Pages that are fetched of one proxy: the longest list in the longest records. */
const PAGES_MAX = 256;
/** A list of so many is asked for at once, at all proxies. */
const SHORT = 200;
const TWINS_MAX = 64;

const clientId = z.string().max(65_535);
const nodeId = z.string().max(64);
export const whomShape = z.union([
  z.object({ clientId }),
  z.object({ connection: z.int().min(0), proxy: z.string().max(256).optional() }),
]) satisfies z.ZodType<Whom>;
const count = z.int().min(0);

const listQuestion = z.union([
  z.object({
    query: z.object({
      node: nodeId.optional(),
      match: clientId.optional(),
      after: z.object({ connection: count, proxy: z.string().max(256) }).optional(),
      limit: count.max(LIST_MAX),
    }),
  }),
  /** Of the list that this proxy gave the first page of. */
  z.object({ next: z.uuid() }),
]);
const listAnswer = z.object({
  clients: z.array(named.Client).max(LIST_MAX),
  /** How many match there in all, and behind `after`; said with the first page. */
  total: count,
  behind: count,
  next: z.uuid().optional(),
});
const tally = z.object({ moving: count, later: count, stuck: count, ended: count, noNode: count });

type ListQuestion = z.output<typeof listQuestion>;
type ListAnswer = z.output<typeof listAnswer>;

/** One proxy's part of a list, by the numbers of connections. */
export interface ClientPart {
  readonly clients: readonly ClientDetail[];
  readonly total: number;
  readonly behind: number;
}

/** What this proxy knows and can do by itself; `client list` and its kind ask all proxies together. */
export interface LocalClients {
  clients(filter: ClientFilter): Promise<ClientPart>;
  /** Every connection that is meant, of those here. Like those below: @throws BreakwaterError where it may stand still here */
  client(whom: Whom): Promise<readonly ClientDetail[]>;
  /** How many connections were ended. */
  kick(whom: Whom): Promise<number>;
  /** Moves devices to this node. */
  move(whom: Whom, node: string): Promise<MoveTally>;
}

export function withPeerClients(local: LocalClients, topics: Topics, others: Others, proxyId: string) {
  const pages = createPages<ClientView>();

  async function answerHere(query: ClientQuery): Promise<ListAnswer> {
    const { clients, total, behind } = await local.clients(partOf(query, proxyId));
    return { clients: [...clients], total, behind };
  }

  const list = topics.register(
    { name: 'clients-in-order', question: listQuestion, answer: listAnswer },
    async (asked): Promise<ListAnswer> => {
      if ('next' in asked) {
        const page = pages.next(asked.next);
        if (page === undefined) throw new Error('the list is gone');
        return { clients: [...page.items], total: 0, behind: 0, next: page.next };
      }
      const { clients, ...counts } = await answerHere(asked.query);
      const { items, next } = pages.first(clients);
      return { clients: [...items], ...counts, next };
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

  /** Undefined: it does not answer. */
  async function begin(proxy: string, query: ClientQuery): Promise<ListAnswer | undefined> {
    if (proxy === proxyId) return answerHere(query);
    const answers = await list({ query }, proxy).catch(() => undefined);
    return answers?.given.get(proxy);
  }

  return {
    /** While the store is away, this proxy's own: a list that is short is better than none, and says so. */
    async clients(query: ClientQuery): Promise<ClientList> {
      // Of a long list only those proxies prepare their part whose turn it is.
      const first = { ...query, limit: query.limit > SHORT ? 0 : query.limit };
      const { given, missing } = await others.askAvailable(list, { query: first });
      const parts = new Map<string, ListAnswer>([...given, [proxyId, await answerHere(first)]]);
      const clients: ClientView[] = [];
      const cutShort: string[] = [];
      for (const [proxy, part] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const wanted = query.limit - clients.length;
        if (wanted === 0) break;
        if (part.behind === 0) continue;
        const begun = first.limit > 0 ? part : await begin(proxy, { ...query, limit: wanted });
        const rest = begun && (await restOf(list, proxy, begun, wanted));
        clients.push(...(rest?.clients ?? []).slice(0, wanted));
        if (!rest?.isWhole) cutShort.push(proxy);
      }
      const all = [...parts.values()];
      const behind = all.reduce((sum, part) => sum + part.behind, 0);
      const last = clients.at(-1);
      return {
        clients,
        total: all.reduce((sum, { total }) => sum + total, 0),
        next: last !== undefined && behind > clients.length ? addressOf(last) : undefined,
        missing: [...missing, ...cutShort].sort(),
      };
    },
    /**
     * @throws BreakwaterError where nobody has it for certain: STORE_UNAVAILABLE, others cannot be asked; PROXY_SILENT, one does not
     * answer; UPGRADE_UNDER_WAY, THREAD_UNAVAILABLE: it may stand still here
     */
    async client(whom: Whom): Promise<readonly ClientDetail[]> {
      const all = await everywhere(others, local.client(whom), client, { whom }, (found) => found.length > 0);
      return all.flat();
    },
    /** @throws BreakwaterError likewise */
    async kick(whom: Whom): Promise<number> {
      const all = await everywhere(others, local.kick(whom), kick, { whom }, (ended) => ended > 0);
      return all.reduce((total, ended) => total + ended, 0);
    },
    /** @throws BreakwaterError likewise */
    async move(whom: Whom, node: string): Promise<MoveTally> {
      return addTallies(await everywhere(others, local.move(whom, node), move, { whom, node }, hasFound));
    },
  };
}

export type PeerClients = ReturnType<typeof withPeerClients>;

/** What each proxy answers. Of one that cannot say it only matters where no other has found the device. */
async function everywhere<Question extends { readonly whom: Whom }, Answer>(
  others: Others,
  here: Promise<Answer>,
  ask: Ask<Question, Answer>,
  question: Question,
  isFound: (answer: Answer) => boolean,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  let failure: unknown;
  await here.then(
    (answer) => answers.push(answer),
    (error) => (failure = error),
  );
  const { given, missing } = await others.askAbsent(ask, question, answers.some(isFound));
  answers.push(...given.values());
  if (answers.some(isFound)) return answers;
  if (failure !== undefined) throw failure;
  const silent = missing.filter((proxy) => mayHave(proxy, question.whom));
  if (silent.length > 0) throw unsaid(silent);
  return answers;
}

function mayHave(proxy: string, whom: Whom): boolean {
  return 'clientId' in whom || (whom.proxy ?? proxy) === proxy;
}

function unsaid(silent: readonly string[]): BreakwaterError {
  const names = silent.toSorted().join(', ');
  return new BreakwaterError('PROXY_SILENT', `${names} cannot say whether the device is there; try again`);
}

/** A list has the proxies in the order of their ids: of those before that of `after` nothing is listed any more. */
function partOf({ after, ...query }: ClientQuery, proxyId: string): ClientFilter {
  if (after === undefined || proxyId > after.proxy) return query;
  if (proxyId === after.proxy) return { ...query, after: after.connection };
  return { ...query, after: Number.MAX_SAFE_INTEGER, limit: 0 };
}

function addressOf({ connection, proxy }: ClientView): string {
  return `#${connection}@${proxy}`;
}

/** What one proxy has to list, page by page, up to as many as are wanted. */
async function restOf(
  list: Ask<ListQuestion, ListAnswer>,
  proxy: string,
  first: ListAnswer,
  wanted: number,
): Promise<{ readonly clients: readonly ClientView[]; readonly isWhole: boolean }> {
  const clients: ClientView[] = [...first.clients];
  let { next } = first;
  for (let page = 1; next !== undefined && clients.length < wanted && page < PAGES_MAX; page++) {
    const answer = await list({ next }, proxy).catch(() => undefined);
    const more = answer?.given.get(proxy);
    if (more === undefined) return { clients, isWhole: false };
    clients.push(...more.clients);
    next = more.next;
  }
  return { clients, isWhole: next === undefined || clients.length >= wanted };
}
