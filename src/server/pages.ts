import { randomUUID } from 'node:crypto';
import type { Clock } from '../time.ts';

/** Characters of JSON in one page: many proxies' pages at one time fit what Redis holds for a subscriber (32 MB). */
const PAGE_CHARACTERS = 256 * 1024;
/** Lists of which pages are still to come; the oldest gives way. */
const LISTS_MAX = 8;
/** So long a list waits for whoever asked for it to ask for its next page. */
const LIST_TTL_MS = 10_000;

export interface Page<T> {
  readonly items: readonly T[];
  /** Gets the next page; absent: this is the last. */
  readonly next: string | undefined;
}

/** Gives long lists out in pages, as they were when the first page was asked for. */
export function createPages<T>(clock: Clock) {
  const lists = new Map<string, { items: readonly T[]; readonly endsAtMs: number }>();

  function pageOf(id: string, items: readonly T[], endsAtMs: number): Page<T> {
    let characters = 0;
    let count = 0;
    for (const item of items) {
      characters += JSON.stringify(item).length;
      if (count > 0 && characters > PAGE_CHARACTERS) break;
      count++;
    }
    lists.delete(id);
    if (count === items.length) return { items, next: undefined };
    lists.set(id, { items: items.slice(count), endsAtMs });
    for (const oldest of lists.keys()) if (lists.size > LISTS_MAX) lists.delete(oldest);
    return { items: items.slice(0, count), next: id };
  }

  return {
    first: (items: readonly T[]): Page<T> => pageOf(randomUUID(), items, clock.now() + LIST_TTL_MS),
    /** Undefined where it is too late. */
    next(id: string): Page<T> | undefined {
      const list = lists.get(id);
      if (list === undefined || list.endsAtMs < clock.now()) return undefined;
      return pageOf(id, list.items, list.endsAtMs);
    },
  };
}
