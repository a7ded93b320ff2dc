/** The route of the admin API that shows the packets of one device as they pass. */

import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import { API_PREFIX, type Api } from './api.ts';
import type { Backend, ClientTrace } from './backend.ts';
import { clientParams } from './schemas.ts';

/** Between two looks; what passes meanwhile waits at the device's data thread. */
const TAKE_MS = 250;
/** At one time, asked of this proxy. */
const MAX_TRACES = 8;
/** What may wait for one slow reader; what comes beyond it is counted and not told. */
const MAX_BUFFERED_BYTES = 256 * 1024;

const query = z.strictObject({
  payload: z.enum(['true', 'false']).optional().meta({
    description: '`true`: with the beginnings of payloads, where `admin.tracePayloads` allows it.',
  }),
});

export function clientTraceRoutes(api: Api, backend: Pick<Backend, 'trace'>): void {
  const streams = new Set<ServerResponse>();
  api.addHook('preClose', async () => {
    for (const response of streams) response.end('event: end\ndata: {"reason":"the proxy stops"}\n\n');
  });
  api.get(
    `${API_PREFIX}/clients/:clientId/trace`,
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['clients'],
        summary:
          'The packets of a device in session mode as they pass: server-sent events `client`, `packet`, `dropped`, `end`.',
        produces: ['text/event-stream'],
        params: clientParams,
        querystring: query,
        response: { 200: z.string() },
      },
    },
    async (request, reply) => {
      if (streams.size >= MAX_TRACES)
        throw new BreakwaterError(
          'TOO_MANY_SUBSCRIBERS',
          `${MAX_TRACES} devices are traced already; end one`,
        );
      const response = reply.raw;
      streams.add(response);
      response.once('close', () => streams.delete(response));
      const trace = await backend
        .trace(request.params.clientId, request.query.payload === 'true')
        .catch((error) => {
          streams.delete(response);
          throw error;
        });
      if (!streams.has(response))
        void trace.end().catch(() => {}); // the reader has gone meanwhile
      else follow(response, trace);
      reply.hijack();
      response.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'x-accel-buffering': 'no', // nginx would hold packets back
      });
      tell(response, 'client', trace.client);
      return undefined;
    },
  );
}

/** Until the reader or the device goes. */
function follow(response: ServerResponse, trace: ClientTrace): void {
  let isLooking = false;
  let untold = 0;
  const look = async () => {
    if (isLooking || response.writableEnded) return;
    isLooking = true;
    try {
      const { packets, dropped, isOver } = await trace.take();
      untold += dropped;
      for (const { atMs, ...packet } of packets) {
        if (response.writableLength > MAX_BUFFERED_BYTES) untold++;
        else tell(response, 'packet', { at: new Date(atMs).toISOString(), ...packet });
      }
      if (untold > 0 && response.writableLength <= MAX_BUFFERED_BYTES) {
        tell(response, 'dropped', { count: untold });
        untold = 0;
      }
      if (isOver) finish(response, 'the device has left');
    } catch (error) {
      finish(response, messageOf(error));
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), TAKE_MS);
  response.once('close', () => {
    clearInterval(timer);
    void trace.end().catch(() => {}); // it ends by itself when nothing is taken
  });
}

function finish(response: ServerResponse, reason: string): void {
  tell(response, 'end', { reason });
  response.end();
}

function tell(response: ServerResponse, event: string, data: unknown): void {
  if (!response.writableEnded) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
