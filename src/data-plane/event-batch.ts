import type { ThreadEvent } from './messages.ts';

/** Most events in one batch; what one burst holds beyond it is counted, not told. */
export const MAX_BATCH_EVENTS = 4096;

/**
 * Gathers what one batch of socket events gave rise to, and sends it to the main thread as one message.
 * A node that answers thousands of dials is told of once a batch.
 */
export class EventBatch {
  private readonly defer: (task: () => void) => void;
  private readonly send: (events: readonly ThreadEvent[]) => void;
  private readonly dropped: () => void;
  private events: ThreadEvent[] = [];
  private readonly dialled = new Set<string>();

  constructor(
    defer: (task: () => void) => void,
    send: (events: readonly ThreadEvent[]) => void,
    dropped: () => void,
  ) {
    this.defer = defer;
    this.send = send;
    this.dropped = dropped;
  }

  add(event: ThreadEvent): void {
    if (event.type === 'dialled' && this.dialled.has(event.node)) return;
    if (this.events.length >= MAX_BATCH_EVENTS) return this.dropped();
    if (event.type === 'dialled') this.dialled.add(event.node);
    if (event.type === 'dial-failed') this.dialled.delete(event.node); // the order of the two decides health
    this.events.push(event);
    if (this.events.length === 1) this.defer(() => this.flush());
  }

  /** Sends what there is, without waiting for the end of the batch. */
  flush(): void {
    const { events } = this;
    if (events.length === 0) return;
    this.events = [];
    this.dialled.clear();
    this.send(events);
  }
}
