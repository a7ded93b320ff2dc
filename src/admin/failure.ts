import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { ConfigError } from '../config/problems.ts';
import type { Api } from './api.ts';
import type { Failure } from './schemas.ts';

/** Every answer that is not a success is one JSON shape: `{code, message, retryable, fields?}`. */
export function answerFailures(app: Api, log: Pick<Log, 'error'>): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    if (error instanceof BreakwaterError) return send(reply, error.status, error);
    if (error.validation !== undefined || error instanceof z.ZodError) return sendInvalid(reply, error);
    const status = error.statusCode ?? 500;
    if (status < 500) return send(reply, status, new BreakwaterError('REQUEST_INVALID', error.message));
    // What an unforeseen error says may be anything: it goes to the log, not to the caller.
    log.error(
      { err: error, method: request.method, path: pathOf(request), requestId: request.id },
      'admin request failed',
    );
    const hint = `the request failed inside Breakwater; its log says why (requestId ${request.id})`;
    return send(reply, 500, new BreakwaterError('INTERNAL', hint));
  });
  app.setNotFoundHandler((request, reply) => {
    const hint = `${request.method} ${pathOf(request)} does not exist; /api/v1/openapi.json lists what does`;
    return send(reply, 404, new BreakwaterError('NOT_FOUND', hint));
  });
}

/** A path that cannot be decoded, or whose id is too long; Fastify has a shape of its own for these. */
export function answerMalformedPaths(
  { statusCode = 400, message }: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  send(reply, statusCode, new BreakwaterError('REQUEST_INVALID', message));
}

const statusLines: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** What cannot be read as HTTP at all. */
export function answerBrokenRequests({ code = '', message }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || isOfTls(code) || !socket.writable) return void socket.destroy();
  const body: Failure = { code: 'REQUEST_INVALID', message: `${message} (${code})`, retryable: false };
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${statusLines[code] ?? '400 Bad Request'}\r\nconnection: close\r\ncontent-type: application/json`;
  socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  socket.destroySoon();
}

/** The handshake failed: there is nobody to whom HTTP could be said. */
function isOfTls(code: string): boolean {
  return /^ERR_(SSL|TLS)_/.test(code);
}

function send(
  reply: FastifyReply,
  status: number,
  error: BreakwaterError,
  fields?: Failure['fields'],
): FastifyReply {
  const { code, message, retryable } = error;
  const problems = error instanceof ConfigError ? error.problems : undefined;
  const body: Failure = { code, message, retryable, fields, problems };
  return reply.code(status).send(body);
}

function sendInvalid(reply: FastifyReply, error: FastifyError): FastifyReply {
  // Fastify hands the validator's error through, and adds in which part of the request it stands.
  const issues = (error as unknown as z.ZodError).issues ?? [];
  const fields = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: [...issue.path, key].join('.'), message: 'is not known here' }))
      : [{ field: issue.path.join('.') || (error.validationContext ?? 'request'), message: issue.message }],
  );
  const message = fields.map(({ field, message }) => `${field}: ${message}`).join('; ') || error.message;
  return send(reply, 400, new BreakwaterError('REQUEST_INVALID', message), fields);
}

/** Without the query, which may hold what does not belong into a log. */
export function pathOf(request: Pick<FastifyRequest, 'url'>): string {
  return request.url.split('?', 1)[0] ?? '';
}
