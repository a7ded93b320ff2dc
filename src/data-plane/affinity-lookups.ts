import type { Recaller } from '../connection/connection-host.ts';
import type { WorkerEvent } from '../data-plane-api/messages.ts';

/** Questions that may be open at one time; beyond it the strategy decides at once. */
export const MAX_RECALLS = 10_000;

/** Questions to the main thread about where devices were served last, until each is answered. */
export class AffinityLookups {
  private readonly tell: (event: WorkerEvent) => void;
  private readonly open = new Map<number, Recaller>();
  private requests = 0;

  constructor(tell: (event: WorkerEvent) => void) {
    this.tell = tell;
  }

  ask(pool: string, clientId: string, asker: Recaller): void {
    if (this.open.size >= MAX_RECALLS) return asker.recalled(undefined);
    const request = ++this.requests;
    this.open.set(request, asker);
    this.tell({ type: 'recall', request, pool, clientId });
  }

  /** The main thread answers every question, even if it knows nothing. */
  answered(request: number, node: string | undefined): void {
    const asker = this.open.get(request);
    this.open.delete(request);
    asker?.recalled(node);
  }
}
