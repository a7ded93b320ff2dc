import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { BreakwaterError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { systemClock } from '../base/time.ts';
import { createLogThrottle } from '../policy/admission/log-throttle.ts';
import type { Api } from './api.ts';
import { createTokenGuesses } from './token-guesses.ts';

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
export function guard(app: Api, tokenNow: () => string | undefined, log: Pick<Log, 'warn'>): void {
  const guesses = createTokenGuesses(systemClock);
  const bursts = createLogThrottle(systemClock);
  app.addHook('onRequest', async ({ headers, ip, routeOptions }, reply) => {
    if (routeOptions.config?.open === true) return;
    const token = tokenNow();
    if (token === undefined) return refuseStrangers(headers);
    const { authorization = '' } = headers;
    const remedy = 'send it as "Authorization: Bearer TOKEN"';
    if (authorization === '') throw new BreakwaterError('UNAUTHORIZED', `the token is missing; ${remedy}`);
    const seconds = guesses.heldFor(ip);
    if (seconds > 0) {
      reply.header('retry-after', seconds);
      const why = `too many wrong tokens came from ${ip}; it is heard again in ${seconds} s`;
      throw new BreakwaterError('TOO_MANY_GUESSES', why);
    }
    if (isToken(authorization, token)) return;
    guesses.wrong(ip);
    const more = bursts(ip);
    if (more !== undefined) log.warn({ remoteAddress: ip, more }, 'a wrong token was sent to the admin API');
    throw new BreakwaterError('UNAUTHORIZED', `the token is wrong; ${remedy}`);
  });
}

function isToken(authorization: string, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization)?.[1] ?? '';
  // Digests have one length whatever was given: the comparison tells nothing by its time.
  return timingSafeEqual(digest(given), digest(token));
}

/**
 * "Loopback only" keeps other machines out, but not the pages of the browser on this one. By DNS rebinding a page
 * of evil.example becomes same-origin with 127.0.0.1: its requests then still name evil.example as their Host.
 * And any page may send a blind POST to 127.0.0.1: its requests name the page as their Origin.
 */
function refuseStrangers({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): void {
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
}

function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
