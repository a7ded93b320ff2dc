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
/** A reader that is behind for ten seconds is cut off. */
const MAX_LOOKS_BEHIND = 40;
/** Every 15 s, so that middleboxes keep the stream, and a reader that has vanished is noticed. */
const LOOKS_PER_HEARTBEAT = 60;
const FAREWELL_MS = 10_000;

const query = z.strictObject({
  payload: z.enum(['true', 'false']).optional().meta({
    description: '`true`: with the beginnings of payloads, where `admin.tracePayloads` allows it.',
  }),
});

export function clientTraceRoutes(api: Api, backend: Pick<Backend, 'trace'>): void {
  const streams = new Set<ServerResponse>();
  api.addHook('preClose', async () => {
    for (const response of streams) finish(response, 'the proxy stops');
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
      else new TraceStream(response, trace, request.isStillAllowed ?? (() => false));
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

/** Shows a trace until its reader or its device goes, or the reader may not see it any more. */
class TraceStream {
  private readonly response: ServerResponse;
  private readonly trace: ClientTrace;
  private readonly isAllowed: () => boolean;
  private isLooking = false;
  /** Packets that passed and were not shown. */
  private untold = 0;
  private looks = 0;
  /** The look at which the reader last kept up. */
  private keptUpAt = 0;

  constructor(response: ServerResponse, trace: ClientTrace, isAllowed: () => boolean) {
    this.response = response;
    this.trace = trace;
    this.isAllowed = isAllowed;
    const timer = setInterval(() => void this.look(), TAKE_MS);
    response.once('close', () => {
      clearInterval(timer);
      void trace.end().catch(() => {}); // it ends by itself when nothing is taken
    });
  }

  private async look(): Promise<void> {
    if (this.isLooking || this.response.writableEnded) return;
    if (!this.isAllowed()) return finish(this.response, 'you may not see it any more');
    this.isLooking = true;
    try {
      const { packets, dropped, over } = await this.trace.take();
      this.untold += dropped;
      for (const { atMs, ...packet } of packets) {
        if (this.isBehind) this.untold++;
        else tell(this.response, 'packet', { at: new Date(atMs).toISOString(), ...packet });
      }
      this.tellUntold();
      if (over !== undefined) finish(this.response, over);
    } catch (error) {
      finish(this.response, messageOf(error));
    } finally {
      this.isLooking = false;
    }
  }

  private get isBehind(): boolean {
    return this.response.writableLength > MAX_BUFFERED_BYTES;
  }

  private tellUntold(): void {
    this.looks++;
    if (!this.isBehind) this.keptUpAt = this.looks;
    if (this.looks - this.keptUpAt > MAX_LOOKS_BEHIND) return finish(this.response, 'you read too slowly');
    if (this.isBehind) return;
    if (this.untold > 0) tell(this.response, 'dropped', { count: this.untold });
    else if (this.looks % LOOKS_PER_HEARTBEAT === 0) this.response.write(': heartbeat\n\n');
    this.untold = 0;
  }
}

/** A reader that does not read its last bytes may not hold the connection for ever. */
function finish(response: ServerResponse, reason: string): void {
  tell(response, 'end', { reason });
  response.end();
  const farewell = setTimeout(() => response.destroy(), FAREWELL_MS).unref();
  response.once('close', () => clearTimeout(farewell));
}

function tell(response: ServerResponse, event: string, data: unknown): void {
  if (!response.writableEnded) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
