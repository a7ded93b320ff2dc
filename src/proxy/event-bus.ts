/** Where every part of a proxy tells what happens. */

import type { BreakwaterEvent } from '../journal/event.ts';
import type { Incidents } from '../journal/incidents.ts';
import type { Journal } from '../journal/journal.ts';

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
  return {
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
    emit(event: BreakwaterEvent): void {
      const entry = journal.add(event);
      if (listeners.size > 0) {
        const id = journal.idOf(entry);
        for (const listener of listeners) listener(entry.event, id);
      }
      incidents.observe(entry.event);
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
