import { BreakwaterError, type ErrorCode, errorCodes, messageOf } from '../base/errors.ts';

/** A client of the admin API; the shapes it carries are in `../admin/backend.ts`. */
export interface AdminClient {
  /** Origin of the admin API. */
  readonly url: string;
  /** `path` is relative to `/api/v1/` and already encoded. Throws what the API answered as a BreakwaterError. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  delete(path: string): Promise<void>;
}

export interface AdminOptions {
  /** Absent: what `BREAKWATER_ADMIN` says, or `DEFAULT_ADMIN`. */
  readonly admin?: string;
  /** Absent: what `BREAKWATER_TOKEN` says. */
  readonly token?: string;
}

export const DEFAULT_ADMIN = 'http://127.0.0.1:9883';
const TIMEOUT_MS = 10_000;

export function createAdminClient(options: AdminOptions): AdminClient {
  const base = readBase(options);
  const token = options.token ?? process.env.BREAKWATER_TOKEN;

  const request = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== undefined && token !== '') headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    let response: Response;
    let text: string;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      response = await fetch(new URL(path, base), { method, headers, signal, ...sent });
      text = await response.text();
    } catch (error) {
      throw unreachable(base, reasonOf(error), error);
    }
    const answer = text === '' ? undefined : parse(text, base);
    if (!response.ok) throw answeredError(answer, response.status, base);
    return answer;
  };

  return {
    url: base.origin,
    get: async <T>(path: string) => (await request('GET', path)) as T,
    post: async <T>(path: string, body?: unknown) => (await request('POST', path, body)) as T,
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

function unreachable(base: URL, reason: string, cause?: unknown): BreakwaterError {
  const message = `the admin API is not reachable at ${base.origin} (${reason}); is Breakwater running there? --admin URL names another address`;
  return new BreakwaterError('ADMIN_UNREACHABLE', message, { cause });
}

/** `fetch` hides the errno in the cause, and one for each address of a name in an AggregateError. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `no answer within ${TIMEOUT_MS / 1000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : messageOf(cause ?? error);
}
