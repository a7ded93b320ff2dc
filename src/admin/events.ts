/** The route of the admin API that tells events, as JSON or as server-sent events. */

import type { IncomingHttpHeaders } from 'node:http';
import { BreakwaterError } from '../base/errors.ts';
import { parseSince } from '../journal/journal.ts';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { EventHub, type EventLimits } from './event-hub.ts';
import { eventQuery } from './journal-schemas.ts';
import { named } from './schemas.ts';

type Events = Pick<Backend, 'past' | 'follow' | 'events'>;

export function eventRoutes(api: Api, backend: Events, limits: EventLimits): void {
  const hub = new EventHub(backend, limits);
  api.addHook('preClose', async () => hub.close());
  api.get(
    `${API_PREFIX}/events`,
    {
      exposeHeadRoute: false, // a HEAD would be a subscriber that can never be told anything
      schema: {
        tags: ['events'],
        summary:
          'What has happened at all proxies, as JSON; or, as server-sent events, what they kept since `since` (or the header `Last-Event-ID`), and then what happens: here at once, at other proxies within seconds. An event `peers` names proxies that do not answer, or of which some is left out. Behind an event, others may be told once more: each has its id. A slow reader is cut off with a comment.',
        produces: ['application/json', 'text/event-stream'],
        querystring: eventQuery,
        response: { 200: named.EventList },
      },
    },
    (request, reply) => {
      const { query, headers } = request;
      if (!wantsStream(headers, query.since !== undefined)) return backend.events(query);
      const lastSeen = headers['last-event-id'];
      const since = query.since ?? (typeof lastSeen === 'string' ? parseSince(lastSeen) : undefined);
      const response = reply.raw;
      if (!hub.add(response, { ...query, since }, request.isStillAllowed ?? (() => false))) {
        const hint = `${limits.maxSubscribers} subscribers follow the events already; close one`;
        throw new BreakwaterError('TOO_MANY_SUBSCRIBERS', hint);
      }
      reply.hijack();
      response.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'x-accel-buffering': 'no', // nginx would hold events back
      });
      response.write('retry: 2000\n\n');
      return undefined;
    },
  );
}

/** Who names neither of the two (`curl`, `fetch`) is given what happens; or, with `since`, what has happened. */
function wantsStream({ accept = '*/*' }: IncomingHttpHeaders, hasSince: boolean): boolean {
  if (accept.includes('text/event-stream')) return true;
  return !hasSince && !accept.includes('application/json');
}
