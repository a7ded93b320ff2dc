/** Where every part of a proxy tells what happens. */

import { type BreakwaterEvent, kindOf } from '../journal/event.ts';
import type { Incidents } from '../journal/incidents.ts';
import type { Journal } from '../journal/journal.ts';

/** Events that wait at most; those behind are not told. */
const HELD_MAX = 10_000;
/** The nodes and proxies that a new process comes to know are none to those who watch this proxy. */
const isNews = (event: BreakwaterEvent): boolean => !['node', 'proxy', 'incident'].includes(kindOf(event));

type Listener = (event: BreakwaterEvent, id: string) => void;

/**
 * Keeps every event, has it grouped into incidents, and hands it to whoever listens; tells when the first listener has come
 * and the last has gone.
 */
export function createEventBus(journal: Journal, incidents: Pick<Incidents, 'observe'>) {
  let onAudience = (): void => {};
  const listeners = new Set<Listener>();
  /** Set while another proxy asks for what happens here. */
  let elsewhere: NodeJS.Timeout | undefined;
  /** Set while events are not taken. */
  let held: BreakwaterEvent[] | undefined;

  function emit(event: BreakwaterEvent): void {
    if (held !== undefined) {
      if (held.length < HELD_MAX && isNews(event)) held.push(event);
      return;
    }
    const entry = journal.add(event);
    if (listeners.size > 0) {
      const id = journal.idOf(entry);
      for (const listener of listeners) listener(entry.event, id);
    }
    incidents.observe(entry.event);
  }

  return {
    emit,
    /** The process before this one is to tell first what it has kept. */
    hold(): void {
      held = [];
    },
    /** It has: what happened meanwhile follows. */
    release(): void {
      const waiting = held ?? [];
      held = undefined;
      for (const event of waiting) emit(event);
    },
    hasAudience: () => listeners.size > 0 || elsewhere !== undefined,
    onAudience(listener: () => void): void {
      onAudience = listener;
    },
    /** Somebody reads elsewhere, and is counted as a listener for so long. */
    listen(ms: number): void {
      const isFirst = elsewhere === undefined;
      clearTimeout(elsewhere);
      elsewhere = setTimeout(() => {
        elsewhere = undefined;
        onAudience();
      }, ms).unref();
      if (isFirst) onAudience();
    },
    subscribe(listener: Listener): () => void {
      listeners.add(listener);
      if (listeners.size === 1) onAudience();
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) onAudience();
      };
    },
  };
}
