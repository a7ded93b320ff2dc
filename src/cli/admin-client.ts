import type { IncomingMessage } from 'node:http';
import { BreakwaterError, type ErrorCode, errorCodes, messageOf } from '../base/errors.ts';
import { openTransport, type TlsFiles } from './admin-transport.ts';

/** A client of the admin API; the shapes it carries are in `../admin/backend.ts`. */
export interface AdminClient {
  /** Origin of the admin API. */
  readonly url: string;
  /** `path` is relative to `/api/v1/` and already encoded. Throws what the API answered as a BreakwaterError. */
  get<T>(path: string): Promise<T>;
  /** The text of the metrics (Prometheus). */
  metrics(): Promise<string>;
  post<T>(path: string, body?: unknown, timeoutMs?: number): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  delete(path: string): Promise<void>;
  /** Server-sent events, until the signal aborts. Throws what the API answered instead as a BreakwaterError. */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** The answer as it comes, whatever its status, until the signal aborts. Throws as `node:http` does. */
  open(path: string, accept: string, signal: AbortSignal): Promise<IncomingMessage>;
}

export interface AdminOptions extends TlsFiles {
  /** Absent: what `BREAKWATER_ADMIN` says, or `DEFAULT_ADMIN`. */
  readonly admin?: string;
  /** Absent: what `BREAKWATER_TOKEN` says. */
  readonly token?: string;
}

export const DEFAULT_ADMIN = 'http://127.0.0.1:9883';
const TIMEOUT_MS = 10_000;
/** The longest list, of 10,000 devices, has some megabytes. */
const MAX_ANSWER_CHARS = 64 * 1024 * 1024;

export function createAdminClient(options: AdminOptions): AdminClient {
  const base = readBase(options);
  const token = options.token ?? process.env.BREAKWATER_TOKEN;
  const transport = openTransport(options);

  const headersOf = (accept: string): Record<string, string> =>
    token === undefined || token === '' ? { accept } : { accept, authorization: `Bearer ${token}` };

  const send = async (method: string, path: string, body?: unknown, timeoutMs = TIMEOUT_MS) => {
    const headers = headersOf('application/json');
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await transport(new URL(path, base), { method, headers, signal, ...sent });
      return { status: response.statusCode ?? 0, text: await textOf(response) };
    } catch (error) {
      throw unreachable(base, reasonOf(error), error);
    }
  };

  const request = async (
    method: string,
    path: string,
    body?: unknown,
    timeoutMs?: number,
  ): Promise<unknown> => {
    const { status, text } = await send(method, path, body, timeoutMs);
    const answer = text === '' ? undefined : parse(text, base);
    if (status < 200 || status > 299) throw answeredError(answer, status, base);
    return answer;
  };

  const open: AdminClient['open'] = (path, accept, signal) =>
    transport(new URL(path, base), { method: 'GET', headers: headersOf(accept), signal });

  return {
    url: base.origin,
    async stream(path, signal) {
      const response = await open(path, 'text/event-stream', signal).catch((error: unknown) => {
        throw unreachable(base, reasonOf(error), error);
      });
      const { statusCode = 0 } = response;
      if (statusCode !== 200) throw answeredError(parse(await textOf(response), base), statusCode, base);
      return response;
    },
    open,
    get: async <T>(path: string) => (await request('GET', path)) as T,
    async metrics() {
      const { status, text } = await send('GET', '/metrics');
      if (status !== 200) throw answeredError(parse(text, base), status, base);
      return text;
    },
    post: async <T>(path: string, body?: unknown, timeoutMs?: number) =>
      (await request('POST', path, body, timeoutMs)) as T,
    patch: async <T>(path: string, body: unknown) => (await request('PATCH', path, body)) as T,
    delete: async (path) => {
      await request('DELETE', path);
    },
  };
}

function readBase({ admin }: AdminOptions): URL {
  const ofEnvironment = process.env.BREAKWATER_ADMIN || undefined; // an empty one is none
  const typed = admin ?? ofEnvironment ?? DEFAULT_ADMIN;
  const url = URL.canParse(typed) ? new URL(typed) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new BreakwaterError(
      'USAGE',
      `${admin === undefined ? 'BREAKWATER_ADMIN' : '--admin'} must look like ${DEFAULT_ADMIN}, without a user or password`,
    );
  }
  return new URL('/api/v1/', url);
}

function parse(text: string, base: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreachable(base, 'something else than the admin API answered', error);
  }
}

function answeredError(answer: unknown, status: number, base: URL): BreakwaterError {
  const { code, message } = (answer ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code !== 'string' || typeof message !== 'string') {
    return unreachable(base, `something else than the admin API answered with status ${status}`);
  }
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'INTERNAL';
  const remedy = known === 'UNAUTHORIZED' ? '; give the token with --token or BREAKWATER_TOKEN' : '';
  return new BreakwaterError(known, `${message}${remedy}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_ANSWER_CHARS) throw new Error('its answer is too long for one of the admin API');
  }
  return text;
}

function unreachable(base: URL, reason: string, cause?: unknown): BreakwaterError {
  const remedy = remedies.find(([pattern]) => pattern.test(reason))?.[1] ?? 'is Breakwater running there?';
  const message = `the admin API is not reachable at ${base.origin} (${reason}); ${remedy} --admin URL names another address`;
  return new BreakwaterError('ADMIN_UNREACHABLE', message, { cause });
}

/** What helps, by what the handshake failed of. */
const remedies: readonly (readonly [RegExp, string])[] = [
  [/SELF_SIGNED|ISSUER_CERT|VERIFY_LEAF/, '--cacert FILE names the authority of its certificate;'],
  [/ALTNAME/, 'its certificate is for another name;'],
  [/ALERT.*CERTIFICATE/, '--cert FILE and --key FILE show a certificate;'],
  [/WRONG_VERSION|PACKET_LENGTH/, 'it speaks plain HTTP;'],
];

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : messageOf(error);
}
