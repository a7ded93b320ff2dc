import type { BreakwaterEvent } from '../admin/backend.ts';

/** Hands every event to whoever listens; tells when the first comes and the last goes. */
export function createEventBus(onAudience: (anybody: boolean) => void) {
  const listeners = new Set<(event: BreakwaterEvent) => void>();
  return {
    emit(event: BreakwaterEvent): void {
      for (const listener of listeners) listener(event);
    },
    subscribe(listener: (event: BreakwaterEvent) => void): () => void {
      listeners.add(listener);
      if (listeners.size === 1) onAudience(true);
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) onAudience(false);
      };
    },
  };
}
