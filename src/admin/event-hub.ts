/** Sends events to everybody who follows them, with a bound on what waits for a slow reader. */

import type { ServerResponse } from 'node:http';
import type { BreakwaterEvent } from './backend.ts';

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
  /** Events go to this response from now on; false if there are too many subscribers already. */
  add(response: ServerResponse): boolean;
  /** Says goodbye to all. */
  close(): void;
}

/**
 * Fans events out to server-sent event streams (HTML standard, clause 9.2). Each event is serialised once, and
 * the source is subscribed to only while somebody listens.
 */
export function createEventHub(
  subscribe: (listener: (event: BreakwaterEvent) => void) => () => void,
  limits: EventLimits,
): EventHub {
  const subscribers = new Set<ServerResponse>();
  let sleep: (() => void) | undefined;

  function wake(): () => void {
    const unsubscribe = subscribe((event) =>
      publish(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
    );
    const heartbeat = setInterval(() => publish(': heartbeat\n\n'), limits.heartbeatMs).unref();
    return () => {
      unsubscribe();
      clearInterval(heartbeat);
    };
  }

  function publish(frame: string): void {
    for (const response of subscribers) {
      if (response.writableLength + frame.length <= limits.maxBufferedBytes) response.write(frame);
      else dismiss(response, 'cut off: you read more slowly than events happen; connect again');
    }
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
    add(response) {
      if (subscribers.size >= limits.maxSubscribers) return false;
      subscribers.add(response);
      sleep ??= wake();
      response.once('close', () => remove(response));
      return true;
    },
    close() {
      for (const response of subscribers) dismiss(response, 'the proxy stops');
    },
  };
}
