/** Who changed what: one line of the log for each request, and an event for each change. */

import type { FastifyRequest } from 'fastify';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Api } from './api.ts';
import { pathOf } from './failure.ts';
import type { AuditRecord } from './journal-views.ts';

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
export function logRequests(
  app: Api,
  log: Pick<Log, 'info' | 'debug'>,
  audit: (record: AuditRecord) => void,
): void {
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
    const isRead = method === 'GET' || method === 'HEAD';
    const isDenied = refused.includes(failure);
    if (!isRead || isDenied)
      audit({ ...line, ...subjectOf(request), isDenied, change: detailsOf(line.change) });
    const isChange = !isRead && caller !== undefined;
    if (isChange) log.info(line, 'admin request');
    else log.debug(line, 'admin request');
  });
}

/** Whoever is told so was not let in, or may not do what was asked. */
const refused: readonly unknown[] = ['UNAUTHORIZED', 'TOO_MANY_GUESSES', 'FORBIDDEN'];

function subjectOf({ params, routeOptions }: FastifyRequest): Pick<AuditRecord, 'node' | 'client'> {
  const { id, clientId } = (params ?? {}) as { readonly id?: string; readonly clientId?: string };
  return { node: routeOptions.url?.includes('/nodes/') ? id : undefined, client: clientId };
}

function detailsOf(change: unknown): string | undefined {
  return change === undefined ? undefined : JSON.stringify(change);
}

/** What was asked for has passed its schema where the answer is a success: it holds nothing but its known fields. */
function hasDetails({ body }: FastifyRequest): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length > 0;
}
