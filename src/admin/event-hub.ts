/** Sends events to everybody who follows them, with a bound on what waits for a slow reader. */

import type { ServerResponse } from 'node:http';
import { type EventKind, matches } from '../journal/event.ts';
import type { EventQuery, JournalBackend, KeptEvent, PeersTold } from './journal-views.ts';

export interface EventLimits {
  /** A comment this often keeps middleboxes and browsers from giving the stream up. */
  readonly heartbeatMs: number;
  readonly maxSubscribers: number;
  /** What may wait for one slow subscriber; some thousand events. */
  readonly maxBufferedBytes: number;
  /** How long a subscriber that was cut off may take to read what waits for it. */
  readonly farewellMs: number;
}

export const defaultEventLimits: EventLimits = {
  heartbeatMs: 15_000,
  maxSubscribers: 32,
  maxBufferedBytes: 512 * 1024,
  farewellMs: 10_000,
};

/** What is still to be told before a subscriber is told what happens. */
interface Backlog {
  events: KeptEvent[];
  at: number;
  /** Where it was at the last heartbeat. */
  wasAt: number;
  /** What has happened is still asked for. */
  isAsking: boolean;
}

/** The journal keeps fewer; the rest is for what happens while they are read. */
const MAX_BACKLOG = 50_000;
const TOO_SLOW = 'cut off: you read more slowly than events happen; connect again';

interface Subscriber {
  readonly query: EventQuery;
  readonly isAllowed: () => boolean;
  /** Undefined: it has been told everything. What happens meanwhile is put behind it. */
  backlog: Backlog | undefined;
}

/**
 * Fans events out to server-sent event streams (HTML standard, clause 9.2). Each event is serialised once, and
 * the source is followed only while somebody listens.
 */
export class EventHub {
  private readonly source: Pick<JournalBackend, 'follow' | 'past'>;
  private readonly limits: EventLimits;
  private readonly subscribers = new Map<ServerResponse, Subscriber>();
  /** Of other proxies: undefined before they have been asked. */
  private lastPeers: PeersTold | undefined;
  private sleep: (() => void) | undefined;

  constructor(source: Pick<JournalBackend, 'follow' | 'past'>, limits: EventLimits) {
    this.source = source;
    this.limits = limits;
  }

  /**
   * What is kept of the events that are asked for, where `since` says from where on, and then what happens, go to this
   * response; false if there are too many subscribers already. The stream ends, at a heartbeat, when `isAllowed` says no.
   */
  add(response: ServerResponse, query: EventQuery, isAllowed: () => boolean): boolean {
    if (this.subscribers.size >= this.limits.maxSubscribers) return false;
    const backlog: Backlog = { events: [], at: 0, wasAt: -1, isAsking: true };
    const subscriber: Subscriber = { query, isAllowed, backlog };
    this.subscribers.set(response, subscriber);
    this.sleep ??= this.wake();
    response.once('close', () => this.remove(response));
    setImmediate(() => {
      // Behind the head.
      if (this.lastPeers !== undefined && this.lastPeers.missing.length > 0)
        this.tell(response, peersFrame(this.lastPeers));
      this.recall(response, subscriber, backlog).catch(() =>
        this.dismiss(response, 'ended: what has happened is not known'),
      );
    });
    return true;
  }

  /** Ends all streams in order. */
  close(): void {
    for (const response of this.subscribers.keys()) this.dismiss(response, 'the proxy stops');
  }

  private wake(): () => void {
    const stop = this.source.follow({
      kinds: () => this.kinds(),
      tell: (event) => this.publish(event),
      tellPeers: (told) => this.publishPeers(told),
    });
    const heartbeat = setInterval(() => this.beat(), this.limits.heartbeatMs).unref();
    return () => {
      stop();
      clearInterval(heartbeat);
      this.lastPeers = undefined;
    };
  }

  /** Those that anybody asked for. */
  private kinds(): readonly EventKind[] | undefined {
    const wanted = new Set<EventKind>();
    for (const { query } of this.subscribers.values()) {
      if (query.kinds === undefined) return undefined;
      for (const kind of query.kinds) wanted.add(kind);
    }
    return [...wanted];
  }

  private publish(event: KeptEvent): void {
    let frame: string | undefined;
    for (const [response, { query, backlog }] of this.subscribers) {
      if (!matches(event, query)) continue;
      if (backlog === undefined) {
        frame ??= frameOf(event);
        this.tell(response, frame);
      } else if (backlog.events.length - backlog.at < MAX_BACKLOG) backlog.events.push(event);
      else this.dismiss(response, TOO_SLOW);
    }
  }

  private publishPeers(told: PeersTold): void {
    this.lastPeers = told;
    for (const response of this.subscribers.keys()) this.tell(response, peersFrame(told));
  }

  private beat(): void {
    for (const [response, { backlog, isAllowed }] of this.subscribers) {
      if (!isAllowed()) this.dismiss(response, 'ended: you may not follow the events any more');
      else if (backlog === undefined || backlog.isAsking) this.tell(response, ': heartbeat\n\n');
      else if (backlog.wasAt === backlog.at) this.dismiss(response, TOO_SLOW);
      else backlog.wasAt = backlog.at;
    }
  }

  private tell(response: ServerResponse, frame: string): void {
    if (response.writableLength + frame.length <= this.limits.maxBufferedBytes) response.write(frame);
    else this.dismiss(response, TOO_SLOW);
  }

  /** What has happened, where it is asked for. What happens meanwhile may be told by both. */
  private async recall(response: ServerResponse, subscriber: Subscriber, backlog: Backlog): Promise<void> {
    const { since, ...query } = subscriber.query;
    if (since !== undefined) {
      const { events, missing } = await this.source.past({ ...query, since });
      const told = new Set(events.map(({ id }) => id));
      backlog.events = [...events.slice(-MAX_BACKLOG), ...backlog.events.filter(({ id }) => !told.has(id))];
      if (missing.length > 0 && this.subscribers.has(response))
        this.tell(response, peersFrame({ missing, cut: [] }));
    }
    backlog.isAsking = false;
    this.pour(response, subscriber);
  }

  /** As much of what is kept as the response takes; the rest when that has been read. */
  private pour(response: ServerResponse, subscriber: Subscriber): void {
    const { backlog } = subscriber;
    if (backlog === undefined || !this.subscribers.has(response)) return;
    for (let event = backlog.events[backlog.at]; event !== undefined; event = backlog.events[backlog.at]) {
      if (response.writableLength > this.limits.maxBufferedBytes / 2)
        return void response.once('drain', () => this.pour(response, subscriber));
      response.write(frameOf(event));
      backlog.at++;
    }
    subscriber.backlog = undefined;
  }

  private dismiss(response: ServerResponse, why: string): void {
    this.remove(response);
    response.end(`: ${why}\n\n`);
    const farewell = setTimeout(() => response.destroy(), this.limits.farewellMs).unref();
    response.once('close', () => clearTimeout(farewell));
  }

  private remove(response: ServerResponse): void {
    this.subscribers.delete(response);
    if (this.subscribers.size > 0) return;
    this.sleep?.();
    this.sleep = undefined;
  }
}

function frameOf({ id, ...event }: KeptEvent): string {
  return `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function peersFrame(told: PeersTold): string {
  return `event: peers\ndata: ${JSON.stringify(told)}\n\n`;
}
