import { randomUUID } from 'node:crypto';

/** Characters of JSON in one page: many proxies' pages at one time fit what Redis holds for a subscriber (32 MB). */
const PAGE_CHARACTERS = 256 * 1024;
/** Lists with pages still to come; beyond this number the oldest list is dropped. */
const LISTS_MAX = 8;
/** How long a list is kept for the proxy that reads it. */
const LIST_TTL_MS = 10_000;

export interface Page<T> {
  readonly items: readonly T[];
  /** Gets the next page; absent: this is the last. */
  readonly next: string | undefined;
}

/** Gives long lists out in pages, as they were when the first page was asked for. */
export function createPages<T>() {
  /** What is still to come, by list. */
  const lists = new Map<string, readonly T[]>();

  function pageOf(id: string, items: readonly T[]): Page<T> {
    let characters = 0;
    let count = 0;
    for (const item of items) {
      characters += JSON.stringify(item).length;
      if (count > 0 && characters > PAGE_CHARACTERS) break;
      count++;
    }
    if (count < items.length) lists.set(id, items.slice(count));
    else lists.delete(id);
    return { items: items.slice(0, count), next: count < items.length ? id : undefined };
  }

  return {
    first(items: readonly T[]): Page<T> {
      const page = pageOf(randomUUID(), items);
      const { next } = page;
      if (next === undefined) return page;
      setTimeout(() => lists.delete(next), LIST_TTL_MS).unref();
      for (const oldest of lists.keys()) if (lists.size > LISTS_MAX) lists.delete(oldest);
      return page;
    },
    /** Undefined where it is too late. */
    next(id: string): Page<T> | undefined {
      const items = lists.get(id);
      return items && pageOf(id, items);
    },
  };
}
