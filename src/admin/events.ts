/** The route of the admin API that streams events as server-sent events. */

import { z } from 'zod';
import { BreakwaterError } from '../base/errors.ts';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend } from './backend.ts';
import { createEventHub, type EventLimits } from './event-hub.ts';

export function eventRoutes(api: Api, backend: Pick<Backend, 'subscribe'>, limits: EventLimits): void {
  const hub = createEventHub((listener) => backend.subscribe(listener), limits);
  api.addHook('preClose', async () => hub.close());
  api.get(
    `${API_PREFIX}/events`,
    {
      exposeHeadRoute: false, // a HEAD would be a subscriber that can never be told anything
      schema: {
        tags: ['events'],
        summary: 'What happens, as it happens: server-sent events. A slow reader is cut off with a comment.',
        produces: ['text/event-stream'],
        response: { 200: z.string() },
      },
    },
    (_request, reply) => {
      const response = reply.raw;
      if (!hub.add(response)) {
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
    },
  );
}
