/** Who changed what: one line of the log for each request. */

import type { FastifyRequest } from 'fastify';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Api } from './api.ts';
import { pathOf } from './failure.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Code of the error that it was answered with. */
    failure?: string;
  }
}

/**
 * Logs who asked for what, from where, and what became of it: changes at `info`, reads at `debug`. A request of somebody who
 * was not let in changes nothing, and comes as often as strangers like: at `debug` too.
 */
export function logRequests(app: Api, log: Pick<Log, 'info' | 'debug'>): void {
  app.addHook('onError', async (request, _reply, error) => {
    request.failure = error instanceof BreakwaterError ? error.code : undefined;
  });
  app.addHook('onResponse', async (request, { statusCode: status }) => {
    const { method, ip: remoteAddress, caller, failure } = request;
    const line = {
      ...{ method, path: pathOf(request), status, remoteAddress },
      ...(caller && { by: caller.name, role: caller.role }),
      ...(failure !== undefined && { code: failure }),
      ...(status < 300 && hasDetails(request) && { change: request.body }),
    };
    const isChange = method !== 'GET' && method !== 'HEAD' && caller !== undefined;
    if (isChange) log.info(line, 'admin request');
    else log.debug(line, 'admin request');
  });
}

/** What was asked for has passed its schema where the answer is a success: it holds nothing but its known fields. */
function hasDetails({ body }: FastifyRequest): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length > 0;
}
