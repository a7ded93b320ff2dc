/** Sends what happened to devices from a worker to the main thread, many events in one message. */

import type { WorkerEvent } from '../data-plane-api/messages.ts';

type TakenOver = Extract<WorkerEvent, { type: 'taken-over' }>;
type LinkLost = Extract<WorkerEvent, { type: 'link-lost' }>;
/** Grows until it is sent. */
type GrowingLinkLost = { -readonly [K in keyof LinkLost]: LinkLost[K] } & { devices: number[] };

/** Most events in one batch; what comes beyond it in one burst is counted and not sent. */
export const MAX_BATCH_EVENTS = 4096;

/**
 * A node that answers dials is reported again after so long. A message costs both threads as much as several system
 * calls, and it is news only after failures, which other workers may have seen.
 */
export const DIALLED_AGAIN_MS = 100;

/**
 * Gathers what one batch of socket events gave rise to, and sends it to the main thread as one message. A node that
 * answers thousands of dials is reported ten times a second.
 */
export class EventBatch {
  private readonly defer: (task: () => void) => void;
  private readonly send: (events: readonly WorkerEvent[]) => void;
  private readonly dropped: () => void;
  private events: WorkerEvent[] = [];
  /** Events of lost links, by node: very many may end together, and each of them asks a question that must arrive. */
  private readonly lost = new Map<string, GrowingLinkLost>();
  /** Of takeovers there may be as many. */
  private takenOver: (TakenOver & { clients: number[] }) | undefined;
  private readonly now: () => number;
  /** Nodes that were reported as dialled since `dialledSinceMs`. */
  private readonly dialled = new Set<string>();
  private dialledSinceMs = 0;

  constructor(
    defer: (task: () => void) => void,
    send: (events: readonly WorkerEvent[]) => void,
    dropped: () => void,
    /** Milliseconds, monotonic. */
    now: () => number,
  ) {
    this.defer = defer;
    this.send = send;
    this.dropped = dropped;
    this.now = now;
  }

  add(event: WorkerEvent): void {
    if (event.type === 'dialled' && this.isKnown(event.node)) return;
    if (event.type === 'link-lost') return this.addLost(event);
    if (event.type === 'taken-over') return this.addTakenOver(event);
    if (this.events.length >= MAX_BATCH_EVENTS) {
      if (!isOfSession(event)) return this.dropped();
      this.flush();
    }
    if (event.type === 'dialled') this.dialled.add(event.node);
    if (event.type === 'dial-failed') this.dialled.delete(event.node); // the order of the two decides health
    this.push(event);
  }

  private push(event: WorkerEvent): void {
    this.events.push(event);
    if (this.events.length === 1) this.defer(() => this.flush());
  }

  /** One event a node, which also bounds them. */
  private addLost({ node, devices, had, askedAtMs }: LinkLost): void {
    const known = this.lost.get(node);
    if (known === undefined) {
      const event = { type: 'link-lost' as const, node, devices: [...devices], had, askedAtMs };
      this.lost.set(node, event);
      return this.push(event);
    }
    known.devices.push(...devices);
    known.had = Math.max(known.had, had);
    known.askedAtMs = askedAtMs ?? known.askedAtMs;
  }

  /** One event for all. */
  private addTakenOver({ clients }: TakenOver): void {
    if (this.takenOver !== undefined) return void this.takenOver.clients.push(...clients);
    this.takenOver = { type: 'taken-over', clients: [...clients] };
    this.push(this.takenOver);
  }

  private isKnown(node: string): boolean {
    const nowMs = this.now();
    if (nowMs - this.dialledSinceMs >= DIALLED_AGAIN_MS) {
      this.dialled.clear();
      this.dialledSinceMs = nowMs;
    }
    return this.dialled.has(node);
  }

  /** Sends what there is, without waiting for the end of the batch. */
  flush(): void {
    const { events } = this;
    if (events.length === 0) return;
    this.events = [];
    this.lost.clear();
    this.takenOver = undefined;
    this.send(events);
  }
}

/**
 * Events of sessions. What is remembered of a session must not be older than what its device knows, so these are
 * never dropped; there are two a connection.
 */
function isOfSession({ type }: WorkerEvent): boolean {
  return type === 'session-opened' || type === 'session-left';
}
