import { z } from 'zod';
import type { Others } from './other-proxies.ts';
import { createPages } from './pages.ts';
import type { Ask, Topics } from './store/topics.ts';

/** Lists that proxies ask each other for, in pages, so that a long one fits into messages. */

/** Pages that are fetched of one proxy. */
const PAGES_MAX = 64;

interface PagedTopic<Query, Item> {
  /** Unique among topics. */
  readonly name: string;
  readonly query: z.ZodType<Query>;
  readonly item: z.ZodType<Item>;
  /** Of one proxy, at most. */
  readonly itemsMax: number;
}

interface PagedAnswers<Item> {
  /** By the id of the proxy that gave them. */
  readonly given: ReadonlyMap<string, readonly Item[]>;
  /** Proxies that live and did not answer, or not to the end. */
  readonly missing: readonly string[];
}

/** From now on the others' questions are answered by `list`. @returns how to ask all others; it never rejects */
export function registerPaged<Query, Item>(
  topics: Topics,
  others: Others,
  { name, query, item, itemsMax }: PagedTopic<Query, Item>,
  list: (query: Query) => readonly Item[],
): (query: Query) => Promise<PagedAnswers<Item>> {
  const pages = createPages<Item>();
  const question = z.union([z.object({ next: z.uuid() }), z.object({ query })]);
  const answer = z.object({ items: z.array(item).max(itemsMax), next: z.uuid().optional() });
  type Question = z.output<typeof question>;
  type Answer = z.output<typeof answer>;
  const ask: Ask<Question, Answer> = topics.register<Question, Answer>(
    { name, question, answer },
    (asked) => {
      const page = 'next' in asked ? pages.next(asked.next) : pages.first(list(asked.query));
      if (page === undefined) throw new Error('the list is gone');
      return { items: [...page.items], next: page.next };
    },
  );

  async function restOf(proxy: string, first: Answer): Promise<{ items: Item[]; isWhole: boolean }> {
    const items = [...first.items];
    let { next } = first;
    for (let page = 1; next !== undefined && items.length < itemsMax && page < PAGES_MAX; page++) {
      const answered = await ask({ next }, proxy).catch(() => undefined);
      const more = answered?.given.get(proxy);
      if (more === undefined) return { items, isWhole: false };
      items.push(...more.items);
      next = more.next;
    }
    return { items, isWhole: next === undefined };
  }

  return async (asked) => {
    const { given, missing } = await others.askAvailable(ask, { query: asked });
    const whole = await Promise.all(
      [...given].map(async ([proxy, first]) => ({ proxy, ...(await restOf(proxy, first)) })),
    );
    const cutShort = whole.filter(({ isWhole }) => !isWhole).map(({ proxy }) => proxy);
    return {
      given: new Map(whole.map(({ proxy, items }) => [proxy, items])),
      missing: [...missing, ...cutShort].sort(),
    };
  };
}
