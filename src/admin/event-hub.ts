/** Sends events to everybody who follows them, with a bound on what waits for a slow reader. */

import type { ServerResponse } from 'node:http';
import { type BreakwaterEvent, matches } from '../journal/event.ts';
import type { EventQuery, JournalBackend } from './journal-views.ts';

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

interface EventHub {
  /**
   * What is kept of the events that are asked for, where `since` says from where on, and then what happens, go to this
   * response; false if there are too many subscribers already. The stream ends, at a heartbeat, when `isAllowed` says no.
   */
  add(response: ServerResponse, query: EventQuery, isAllowed: () => boolean): boolean;
  /** Ends all streams in order. */
  close(): void;
}

interface Entry {
  readonly event: BreakwaterEvent;
  readonly id: string;
}

/** What is still to be told before a subscriber is told what happens. */
interface Backlog {
  readonly entries: Entry[];
  at: number;
  /** Where it was at the last heartbeat. */
  wasAt: number;
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
 * the source is subscribed to only while somebody listens.
 */
export function createEventHub(
  source: Pick<JournalBackend, 'subscribe' | 'replay'>,
  limits: EventLimits,
): EventHub {
  const subscribers = new Map<ServerResponse, Subscriber>();
  let sleep: (() => void) | undefined;

  function wake(): () => void {
    const unsubscribe = source.subscribe((event, id) => publish({ event, id }));
    const heartbeat = setInterval(beat, limits.heartbeatMs).unref();
    return () => {
      unsubscribe();
      clearInterval(heartbeat);
    };
  }

  function publish(entry: Entry): void {
    let frame: string | undefined;
    for (const [response, { query, backlog }] of subscribers) {
      if (!matches(entry.event, query)) continue;
      if (backlog === undefined) {
        frame ??= frameOf(entry);
        tell(response, frame);
      } else if (backlog.entries.length - backlog.at < MAX_BACKLOG) backlog.entries.push(entry);
      else dismiss(response, TOO_SLOW);
    }
  }

  function beat(): void {
    for (const [response, { backlog, isAllowed }] of subscribers) {
      if (!isAllowed()) dismiss(response, 'ended: you may not follow the events any more');
      else if (backlog === undefined) tell(response, ': heartbeat\n\n');
      else if (backlog.wasAt === backlog.at) dismiss(response, TOO_SLOW);
      else backlog.wasAt = backlog.at;
    }
  }

  function tell(response: ServerResponse, frame: string): void {
    if (response.writableLength + frame.length <= limits.maxBufferedBytes) response.write(frame);
    else dismiss(response, TOO_SLOW);
  }

  /** As much of what is kept as the response takes; the rest when that has been read. */
  function pour(response: ServerResponse, subscriber: Subscriber): void {
    const { backlog } = subscriber;
    if (backlog === undefined || !subscribers.has(response)) return;
    for (let entry = backlog.entries[backlog.at]; entry !== undefined; entry = backlog.entries[backlog.at]) {
      if (response.writableLength > limits.maxBufferedBytes / 2)
        return void response.once('drain', () => pour(response, subscriber));
      response.write(frameOf(entry));
      backlog.at++;
    }
    subscriber.backlog = undefined;
  }

  function dismiss(response: ServerResponse, why: string): void {
    remove(response);
    response.end(`: ${why}\n\n`);
    const farewell = setTimeout(() => response.destroy(), limits.farewellMs).unref();
    response.once('close', () => clearTimeout(farewell));
  }

  function remove(response: ServerResponse): void {
    subscribers.delete(response);
    if (subscribers.size > 0) return;
    sleep?.();
    sleep = undefined;
  }

  return {
    add(response, query, isAllowed) {
      if (subscribers.size >= limits.maxSubscribers) return false;
      const kept = query.since === undefined ? [] : [...source.replay(query)];
      const backlog = kept.length === 0 ? undefined : { entries: kept, at: 0, wasAt: -1 };
      const subscriber = { query, isAllowed, backlog };
      subscribers.set(response, subscriber);
      sleep ??= wake();
      response.once('close', () => remove(response));
      setImmediate(() => pour(response, subscriber)); // behind the head
      return true;
    },
    close() {
      for (const response of subscribers.keys()) dismiss(response, 'the proxy stops');
    },
  };
}

function frameOf({ event, id }: Entry): string {
  return `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
