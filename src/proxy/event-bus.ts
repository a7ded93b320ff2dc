import type { BreakwaterEvent } from '../admin/backend.ts';

/** Hands every event to whoever listens; tells when the first has come and the last has gone. */
export function createEventBus() {
  let onAudience = (): void => {};
  const listeners = new Set<(event: BreakwaterEvent) => void>();
  return {
    hasAudience: () => listeners.size > 0,
    onAudience(listener: () => void): void {
      onAudience = listener;
    },
    emit(event: BreakwaterEvent): void {
      for (const listener of listeners) listener(event);
    },
    subscribe(listener: (event: BreakwaterEvent) => void): () => void {
      listeners.add(listener);
      if (listeners.size === 1) onAudience();
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) onAudience();
      };
    },
  };
}
