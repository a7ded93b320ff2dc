import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { BreakwaterError } from '../errors.ts';
import type { Api } from './api.ts';

/** @throws BreakwaterError ADMIN_TOKEN_REQUIRED where the API would be open to other machines. */
export function requireSafeBinding(url: URL, token: string | undefined): void {
  if (token === '') {
    throw new BreakwaterError(
      'ADMIN_TOKEN_REQUIRED',
      'admin: the token is empty; set admin.token, or leave it out',
    );
  }
  if (token !== undefined || isLoopback(url.hostname)) return;
  throw new BreakwaterError(
    'ADMIN_TOKEN_REQUIRED',
    `admin: ${url.origin} can be reached from other machines and has no token; set admin.token, or bind it to 127.0.0.1`,
  );
}

/** Lets only those in who hold the token; without a token, only this machine's own programs and pages. */
export function guard(app: Api, tokenNow: () => string | undefined): void {
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config?.open === true) return;
    const token = tokenNow();
    const refusal = token === undefined ? refuseStrangers : refuseWithout(token);
    refusal(request.headers);
  });
}

type Refusal = (headers: IncomingHttpHeaders) => void;

function refuseWithout(token: string): Refusal {
  const expected = digest(token);
  return ({ authorization = '' }) => {
    const given = /^Bearer +(.+)$/i.exec(authorization)?.[1] ?? '';
    // Digests have one length whatever was given: the comparison tells nothing by its time.
    if (timingSafeEqual(digest(given), expected)) return;
    const fault = authorization === '' ? 'the token is missing' : 'the token is wrong';
    throw new BreakwaterError('UNAUTHORIZED', `${fault}; send it as "Authorization: Bearer TOKEN"`);
  };
}

/**
 * "Loopback only" keeps other machines out, but not the pages of the browser on this one. By DNS rebinding a page
 * of evil.example becomes same-origin with 127.0.0.1: its requests then still name evil.example as their Host.
 * And any page may send a blind POST to 127.0.0.1: its requests name the page as their Origin.
 */
const refuseStrangers: Refusal = ({ host, origin, 'sec-fetch-site': site }) => {
  const named = hostnameOf(`http://${host ?? ''}`);
  if (named === undefined || !isLoopback(named)) {
    throw new BreakwaterError(
      'FORBIDDEN',
      `without a token the admin API answers to localhost only, not to "${named ?? ''}"; set admin.token to use another name`,
    );
  }
  const foreign =
    origin !== undefined ? origin !== `http://${host}` : site === 'cross-site' || site === 'same-site';
  if (foreign) {
    const page = origin ?? 'another site';
    throw new BreakwaterError(
      'FORBIDDEN',
      `a page of ${page} may not use the admin API; set admin.token to let it`,
    );
  }
};

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
